"""So many sockets that listen, each at a port of its own."""

import os
import resource
import socket
import sys

from truth.workloads import proto

proto.close_inherited()
many = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (many + 100, many + 100))
inode = proto.enter_own_netns()
kept = []
for number in range(many):
    one = socket.socket()
    one.bind(("127.0.0.1", 1024 + number))
    one.listen(1)
    kept.append(one)
proto.ready(pid=os.getpid(), netns=inode)
proto.wait()
