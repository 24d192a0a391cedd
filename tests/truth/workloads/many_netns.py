"""Many network namespaces, each of one process with so many TCP sockets: connections to itself, and a listener.

On a line of stdin that is a number, the process of that rank gets a connection more, and says "done".
"""

import os
import resource
import socket
import sys

from truth.workloads import proto

namespaces, sockets = map(int, sys.argv[1:])
proto.close_inherited()
resource.setrlimit(resource.RLIMIT_NOFILE, (sockets + 64, sockets + 64))
doors: list[tuple[int, int]] = []
inodes: list[int] = []
for _ in range(namespaces):
    commands, replies = os.pipe(), os.pipe()
    if os.fork() == 0:
        break
    os.close(commands[0])
    os.close(replies[1])
    inodes.append(int(os.read(replies[0], 20)))
    doors.append((commands[1], replies[0]))
else:
    proto.ready(netns=inodes)
    for line in sys.stdin:
        door = doors[int(line)]
        os.write(door[0], b"+")
        os.read(door[1], 1)
        sys.stdout.write("done\n")
        sys.stdout.flush()
    for write, _ in doors:
        os.close(write)
        os.wait()
    sys.exit()

os.close(commands[1])
os.closerange(0, 2)
for write, read in doors:
    os.close(write)
    os.close(read)
inode = proto.enter_own_netns()
listener = socket.create_server(("127.0.0.1", 0), backlog=sockets)
kept: list[socket.socket] = []
while len(kept) + 1 < sockets:
    kept += [socket.create_connection(listener.getsockname()), listener.accept()[0]]
os.write(replies[1], str(inode).encode())
while os.read(commands[0], 1):
    kept += [socket.create_connection(listener.getsockname()), listener.accept()[0]]
    os.write(replies[1], b".")
os._exit(0)
