"""A process of another user that holds inotify instances."""

import os
import sys

from truth.workloads import proto

proto.close_inherited()
os.setresuid(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    proto.checked(proto.libc.inotify_init1(0))
proto.ready(pid=os.getpid())
proto.wait()
