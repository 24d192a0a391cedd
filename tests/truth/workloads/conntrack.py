"""A pod in a network namespace of its own that tracks as many connections as it was told."""

import socket
import subprocess
import sys
from collections import Counter

from truth.workloads import proto

PORTS = 50_000
RULES = "table ip t { chain o { type filter hook output priority 0; ct state new accept; }; }"

proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
with open("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "w") as seconds:
    seconds.write("600")  # not half a minute, which a busy machine may take to count them
wanted = int(sys.argv[2])
made: Counter[str] = Counter()
for source in range(1 + wanted // PORTS):
    sender = socket.socket(type=socket.SOCK_DGRAM)
    sender.bind((f"127.0.0.{2 + source % 3 // 2}", 0))  # two of three from one address
    made[sender.getsockname()[0]] += min(PORTS, wanted - source * PORTS)
    for port in range(1, 1 + min(PORTS, wanted - source * PORTS)):
        sender.sendto(b"", ("127.0.0.1", port))
with open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
    proto.ready(netns=inode, tracked=int(file.read()), made=made)
proto.wait()
