"""A pod whose cgroup allows so many tasks, and which has so many."""

import sys
import threading

from truth.workloads import proto

proto.close_inherited()
limit, threads = map(int, sys.argv[2:])
folder = proto.enter_pod(sys.argv[1])
with open(f"{folder}/pids.max", "w") as file:
    file.write(str(limit))
for _ in range(threads - 1):
    threading.Thread(target=proto.wait, daemon=True).start()
proto.ready()
proto.wait()
