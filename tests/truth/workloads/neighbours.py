"""A pod in a network namespace of its own with neighbours: so many that count, so many permanent ones that do not."""

import subprocess
import sys

from truth.workloads import proto

bound, permanent = int(sys.argv[2]), int(sys.argv[3])
proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
lines = ["link add br0 type bridge", "link set br0 up", "addr add 10.9.0.1/16 dev br0"]
for number in range(bound + permanent):
    state = "stale" if number < bound else "permanent"
    lines.append(f"neigh add 10.9.{1 + number // 250}.{1 + number % 250} lladdr 02:00:00:00:00:01 dev br0 nud {state}")
subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
proto.ready(netns=inode)
proto.wait()
