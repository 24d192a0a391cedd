"""How a workload talks to its test: one line of JSON when it stands as promised, then it waits for the end of stdin."""

import atexit
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
import time
from typing import Any

CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def close_inherited() -> None:
    os.closerange(3, 4096)


def _pids_hierarchy() -> str:
    v1 = "/sys/fs/cgroup/pids"
    return v1 if os.path.isdir(v1) else "/sys/fs/cgroup"


def enter_pod(uid: str, container: str = "c" * 64) -> str:
    """Move into a cgroup of this process's own that looks like a pod's; the pod's folder. Left and removed at exit."""
    base = _pids_hierarchy()
    top = f"{base}/sockaudit-truth-{os.getpid()}"
    folders = [top, f"{top}/kubepods", f"{top}/kubepods/pod{uid}", f"{top}/kubepods/pod{uid}/{container}"]
    for parent, folder in zip([base, *folders], folders, strict=False):
        if base == "/sys/fs/cgroup":
            _write(f"{parent}/cgroup.subtree_control", "+pids")
        os.makedirs(folder, exist_ok=True)  # one of this pid may have been killed before it could clean up

    def leave() -> None:
        _write(f"{base}/cgroup.procs", str(os.getpid()))
        for folder in reversed(folders):
            os.rmdir(folder)

    atexit.register(leave)
    _write(f"{folders[-1]}/cgroup.procs", str(os.getpid()))
    return folders[-2]


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def ready(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def wait() -> None:
    """Wait for the end of stdin, in any thread: a buffer's lock, held by a daemon thread, would fail the exit."""
    while os.read(0, 4096):
        pass


def enter_own_netns() -> int:
    """A namespace of this process's own, loopback up; its inode."""
    checked(libc.unshare(CLONE_NEWNET))
    with socket.socket() as one:
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))
    return os.stat("/proc/self/ns/net").st_ino


def settle_tcp() -> None:
    """Wait for the last acknowledgements in this namespace: until they come, an orphan is in FIN_WAIT1."""
    for _ in range(1000):
        rows = []
        for name in ("tcp", "tcp6"):
            with open(f"/proc/self/net/{name}") as file:
                rows += file.readlines()[1:]
        if all(row.split()[3] != "04" for row in rows):
            return
        time.sleep(0.005)
    raise TimeoutError
