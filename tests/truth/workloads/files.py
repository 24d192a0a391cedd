"""A pod with so many open files and so many threads."""

import os
import resource
import sys
import threading

from truth.workloads import proto

proto.close_inherited()
pod, files, threads = sys.argv[1], *map(int, sys.argv[2:])
proto.enter_pod(pod)
resource.setrlimit(resource.RLIMIT_NOFILE, (2 * files + 64, 2 * files + 64))
for _ in range(files):
    os.open("/dev/null", os.O_RDONLY)
for _ in range(threads - 1):
    threading.Thread(target=proto.wait, daemon=True).start()
proto.ready()
proto.wait()
