"""A pod that holds as many pseudo-terminals as it was told."""

import os
import resource
import sys

from truth.workloads import proto

proto.close_inherited()
proto.enter_pod(sys.argv[1])
many = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (many + 64, many + 64))
for _ in range(many):
    os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
proto.ready()
proto.wait()
