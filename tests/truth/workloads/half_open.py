"""A pod in a network namespace of its own at whose listener connections stay half open: what it answers is dropped.

Takes the pod's uid and how many.
"""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

from truth.workloads import proto

RULES = "table ip t { chain o { type filter hook output priority 0; tcp flags & (syn | ack) == syn | ack drop; }; }"
SYN_RECV = "03"

proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
wanted = int(sys.argv[2])
for _ in range(wanted):
    with socket.socket() as client, suppress(BlockingIOError):
        client.settimeout(0)
        client.connect(listener.getsockname())


def half_open() -> int:
    with open("/proc/self/net/tcp") as file:
        return sum(line.split()[3] == SYN_RECV for line in file)


while half_open() < wanted:
    time.sleep(0.01)
proto.ready(pid=os.getpid(), netns=inode)
proto.wait()
