"""A pod in a user namespace of its own, whose root is another user outside; it holds inotify instances."""

import os
import sys

from truth.workloads import proto

CLONE_NEWUSER = 0x10000000

proto.close_inherited()
pod, outside, instances = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
proto.enter_pod(pod)
ready_read, ready_write = os.pipe()
mapper = os.fork()
if mapper == 0:  # stays outside, where it may write the map
    os.read(ready_read, 1)
    with open(f"/proc/{os.getppid()}/uid_map", "w") as file:
        file.write(f"0 {outside} 1")
    os._exit(0)
proto.checked(proto.libc.unshare(CLONE_NEWUSER))
os.write(ready_write, b"x")
os.waitpid(mapper, 0)
os.setresuid(0, 0, 0)
for _ in range(instances):
    proto.checked(proto.libc.inotify_init1(0))
proto.ready(pid=os.getpid())
proto.wait()
os._exit(0)  # its cgroup is removed from outside
