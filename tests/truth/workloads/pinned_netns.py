"""A network namespace that a mount keeps alive after its last process, with TIME_WAIT sockets in it.

`private`: in a mount namespace of its own. `covered`: there as well, and a FIFO is mounted over it. `long`: there as well,
behind 5 MB of other mounts, as deep subPath or overlay mounts are.
"""

import atexit
import os
import socket
import sys
import tempfile

from truth.workloads import proto

MS_BIND, MNT_DETACH, TIME_WAIT = 4096, 2, 5
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000

proto.close_inherited()
if sys.argv[1] != "shared":  # as a runtime does whose unit has mounts of its own
    proto.checked(proto.libc.unshare(CLONE_NEWNS))
    proto.checked(proto.libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
if sys.argv[1] == "long":
    folder = tempfile.mkdtemp(prefix="mounts-")
    atexit.register(os.rmdir, folder)
    proto.checked(proto.libc.mount(b"none", folder.encode(), b"tmpfs", 0, None))
    atexit.register(proto.libc.umount2, folder.encode(), MNT_DETACH)
    deep = folder + ("/" + "d" * 240) * 15
    os.makedirs(deep)
    for _ in range(700):
        proto.checked(proto.libc.mount(deep.encode(), deep.encode(), None, MS_BIND, None))
anchor, path = tempfile.mkstemp(prefix="netns-")
os.close(anchor)
up, down = os.pipe()
child = os.fork()
if not child:
    inode = proto.enter_own_netns()
    proto.checked(proto.libc.mount(b"/proc/self/ns/net", path.encode(), None, MS_BIND, None))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        for _ in range(TIME_WAIT):
            client = socket.socket()
            client.connect(listener.getsockname())
            accepted, _ = listener.accept()
            client.close()
            accepted.recv(1)
            accepted.close()
    proto.settle_tcp()
    os.write(down, str(inode).encode())
    os._exit(0)
try:
    netns = int(os.read(up, 32))
    os.waitpid(child, 0)
    if sys.argv[1] == "covered":
        os.mkfifo(f"{path}.fifo")
        proto.checked(proto.libc.mount(f"{path}.fifo".encode(), path.encode(), None, MS_BIND, None))
        os.unlink(f"{path}.fifo")
    proto.ready(netns=netns, time_wait=TIME_WAIT)
    proto.wait()
finally:
    if sys.argv[1] == "covered":
        proto.libc.umount2(path.encode(), MNT_DETACH)
    proto.libc.umount2(path.encode(), MNT_DETACH)
    os.unlink(path)
