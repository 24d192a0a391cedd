"""A server that opened everything before it forked: most descriptors are shared, some are each child's own."""

import os
import signal
import socket

from truth.workloads import proto

CHILDREN, FILES, SOCKETS, INOTIFY, DUPLICATES, OWN = 4, 90, 7, 3, 2, 5

proto.close_inherited()
null = os.open("/dev/null", os.O_RDWR)
os.dup2(null, 2)
os.close(null)
fds = [os.open(__file__, os.O_RDONLY) for _ in range(FILES)]
fds += [os.dup(fds[0]) for _ in range(DUPLICATES)]
fds += [proto.checked(proto.libc.inotify_init1(0)) for _ in range(INOTIFY)]
sockets = [socket.socket() for _ in range(SOCKETS)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
    one.listen()
up, down = os.pipe()
children = []
for _ in range(CHILDREN):
    child = os.fork()
    if not child:
        proto.libc.prctl(1, signal.SIGKILL)
        for _ in range(OWN):
            os.open(__file__, os.O_RDONLY)
        os.write(down, b".")
        signal.pause()
    children.append(child)
for _ in children:
    os.read(up, 1)
os.close(up)  # the children alone hold this end now
os.close(down)
shared = 3 + FILES + INOTIFY + SOCKETS  # stdin, stdout, stderr
proto.ready(
    parent=os.getpid(),
    children=children,
    parent_fds=shared + DUPLICATES,
    child_fds=shared + DUPLICATES + 2 + OWN,
    shared=shared,
    shared_by_children=2,
    own=OWN,
    sockets=SOCKETS,
    inotify=INOTIFY,
)
proto.wait()
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
