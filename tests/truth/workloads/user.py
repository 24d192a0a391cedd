"""A process of another user, perhaps in a pod, that holds inotify instances."""

import os
import sys

from truth.workloads import proto

proto.close_inherited()
uid, instances = map(int, sys.argv[1:3])
for pod in sys.argv[3:]:
    proto.enter_pod(pod)
os.setresuid(uid, uid, 0)  # the saved one goes back to leave the pod's cgroup at the end
for _ in range(instances):
    proto.checked(proto.libc.inotify_init1(0))
proto.ready(pid=os.getpid())
proto.wait()
os.setresuid(0, 0, 0)
