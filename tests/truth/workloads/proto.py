"""How a workload talks to its test: one line of JSON when it stands as promised, then it waits for the end of stdin."""

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


def ready(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def wait() -> None:
    sys.stdin.buffer.read()


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
