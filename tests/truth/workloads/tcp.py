"""TCP sockets in every state that can be held still, v4 and v6, in a network namespace of its own.

Takes a factor, and perhaps the uid of a pod to be. Says what must be seen: counts of [protocol, state, owned by a
descriptor].
"""

import errno
import os
import socket
import sys
import time
from collections import Counter

from truth.workloads import proto

proto.close_inherited()
for pod in sys.argv[2:]:
    proto.enter_pod(pod)
inode = proto.enter_own_netns()
factor = int(sys.argv[1])
kept: list[socket.socket] = []
expected: Counter[tuple[str, str, bool]] = Counter()


def see(state: str, *, owned: bool = True, many: int = 1, protocol: str = "tcp") -> None:
    expected[protocol, state, owned] += many


def listener(family: int, address: str, backlog: int = 64) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    one.bind((address, 0))
    one.listen(backlog)
    kept.append(one)
    see("LISTEN")
    return one


def pair(server: socket.socket, address: tuple[str, int], family: int) -> tuple[socket.socket, socket.socket]:
    client = socket.socket(family, socket.SOCK_STREAM)
    client.connect(address)
    accepted, _ = server.accept()
    return client, accepted


def settle(one: socket.socket, state: int) -> None:
    """Wait until the kernel says so (tcpi_state)."""
    for _ in range(1000):
        if one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == state:
            return
        time.sleep(0.005)
    raise TimeoutError


def populate(family: int, bind: str, target: str, connect_family: int) -> None:
    server = listener(family, bind)
    address = (target, server.getsockname()[1])
    for _ in range(3 * factor):
        kept.extend(pair(server, address, connect_family))
        see("ESTABLISHED", many=2)
    for _ in range(2 * factor):
        client, accepted = pair(server, address, connect_family)
        client.shutdown(socket.SHUT_WR)
        settle(accepted, 8)
        settle(client, 5)
        kept.extend((client, accepted))
        see("FIN_WAIT2")
        see("CLOSE_WAIT")
    for _ in range(5 * factor):  # orphaned: the kernel keeps most as mini-sockets among the TIME_WAIT buckets
        client, accepted = pair(server, address, connect_family)
        client.close()
        settle(accepted, 8)
        kept.append(accepted)
        see("FIN_WAIT2", owned=False)
        see("CLOSE_WAIT")
    for _ in range(6 * factor):
        client, accepted = pair(server, address, connect_family)
        client.close()
        settle(accepted, 8)
        accepted.close()
        see("TIME_WAIT", owned=False)
    for _ in range(4 * factor):  # last, so that accept() above never meets them
        client = socket.socket(connect_family, socket.SOCK_STREAM)
        client.connect(address)
        kept.append(client)
        see("ESTABLISHED")
        see("ESTABLISHED", owned=False)
    fill_a_queue(family, bind, target, connect_family)
    stay_unconnected(family, bind)


def fill_a_queue(family: int, bind: str, target: str, connect_family: int) -> None:
    full = listener(family, bind, backlog=0)
    address = (target, full.getsockname()[1])
    first = socket.socket(connect_family, socket.SOCK_STREAM)
    first.connect(address)
    kept.append(first)
    see("ESTABLISHED")
    see("ESTABLISHED", owned=False)
    for _ in range(2):
        client = socket.socket(connect_family, socket.SOCK_STREAM)
        client.settimeout(0)
        if client.connect_ex(address) != errno.EINPROGRESS:
            raise RuntimeError("the listener's queue was not full")
        kept.append(client)
        see("SYN_SENT")


def stay_unconnected(family: int, bind: str) -> None:
    for _ in range(2):
        kept.append(socket.socket(family, socket.SOCK_STREAM))
        see("CLOSE")
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.bind((bind, 0))
    kept.append(bound)
    see("CLOSE")
    for _ in range(3):
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((bind, 0))
        kept.append(udp)
        see("", protocol="udp")
    kept.append(socket.socket(family, socket.SOCK_DGRAM))
    see("", protocol="udp")


populate(socket.AF_INET, "127.0.0.1", "127.0.0.1", socket.AF_INET)
populate(socket.AF_INET6, "::1", "::1", socket.AF_INET6)
populate(socket.AF_INET6, "::", "127.0.0.1", socket.AF_INET)  # v4 connections of a dual-stack listener
with open("/proc/sys/net/ipv4/tcp_max_tw_buckets", "w") as maximum:
    maximum.write(str(5000 + factor))
proto.settle_tcp()
with open("/proc/self/net/sockstat") as figures:
    buckets = int(figures.read().split(" tw ")[1].split()[0])
kept.extend(socket.socketpair())
see("", protocol="unix", many=2)
kept.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
see("", protocol="other")
proto.ready(
    pid=os.getpid(),
    netns=inode,
    sockets=[[*key, number] for key, number in expected.items()],
    time_wait_max=5000 + factor,
    buckets=buckets,
)
proto.wait()
