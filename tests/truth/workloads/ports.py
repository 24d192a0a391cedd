"""A pod in a network namespace of its own whose programs have a hundred ephemeral ports.

Takes how it connects: plain, bound (bind before connect, to four servers), waiting (to TIME_WAIT) or udp; how many
times; tcp_tw_reuse; and ports to reserve. `own`: the namespace has a thousand, and each socket asks for these hundred
(IP_LOCAL_PORT_RANGE). Told `more`, it goes on until the kernel refuses, and says how often it did not.
"""

import contextlib
import errno
import socket
import struct
import sys
import time

from truth.workloads import proto

LOW, HIGH = 40_000, 40_099
IP_LOCAL_PORT_RANGE = 51  # include/uapi/linux/in.h
REFUSED = (errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EAGAIN)

proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
way, many, reuse, reserved = sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
for name, value in (
    ("ip_local_port_range", f"{LOW} {HIGH}" if way != "own" else f"{LOW - 500} {HIGH + 400}"),
    ("ip_local_reserved_ports", reserved),
    ("tcp_tw_reuse", reuse),
):
    with open(f"/proc/sys/net/ipv4/{name}", "w") as file:
        file.write(value)
family, home = (socket.AF_INET6, "::1") if way.endswith("6") else (socket.AF_INET, "127.0.0.1")
way = way.removesuffix("6")
kept: list[socket.socket] = []
servers = []
for number in range(4 if way == "bound" else 1):
    server = socket.socket(family)
    server.bind((home, 9000 + number))
    server.listen(500)
    servers.append(server)
if way == "listening":  # one that listens within the range, on every address
    inner = socket.create_server(("0.0.0.0", LOW + 50))


def connect(number: int) -> None:
    if way == "udp":
        kept.append(socket.socket(family, socket.SOCK_DGRAM))
        kept[-1].connect((home, 53))
        return
    one = socket.socket(family)
    if way == "bound":
        one.bind((home, 0))
    if way == "own":
        one.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", HIGH << 16 | LOW))
    server = servers[number % len(servers)]
    one.connect(server.getsockname())
    other, _ = server.accept()
    if way != "waiting":
        kept.extend((one, other))
        return
    one.close()
    other.close()


for number in range(many):
    connect(number)
if way == "waiting":
    proto.settle_tcp()
proto.ready(netns=inode)
for line in sys.stdin:
    if line.strip() == "more":
        further = 0
        with contextlib.suppress(OSError):
            while further < 2 * (HIGH - LOW):
                connect(further)
                further += 1
        answer = str(further)
    else:
        time.sleep(float(line))
        answer = "slept"
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()
