"""A network namespace that a mount keeps alive after its last process, with TIME_WAIT sockets in it."""

import os
import socket
import sys
import tempfile

from truth.workloads import proto

MS_BIND, MNT_DETACH, TIME_WAIT = 4096, 2, 5
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000

proto.close_inherited()
if sys.argv[1:] == ["private"]:  # as a runtime does whose unit has mounts of its own
    proto.checked(proto.libc.unshare(CLONE_NEWNS))
    proto.checked(proto.libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
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
    proto.ready(netns=netns, time_wait=TIME_WAIT)
    proto.wait()
finally:
    proto.libc.umount2(path.encode(), MNT_DETACH)
    os.unlink(path)
