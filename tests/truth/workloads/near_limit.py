"""A process that is close to its own limit."""

import os
import resource

from truth.workloads import proto

proto.close_inherited()
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
for _ in range(94):
    os.open("/dev/null", os.O_RDONLY)
proto.ready(soft=100, hard=200, fds=97)
proto.wait()
