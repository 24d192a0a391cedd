"""A pod in a network namespace of its own that talks to addresses outside (which are its own loopback's).

Takes how many connections it holds: over IPv4, over IPv6, IPv4 from an IPv6 socket, shared with a child, in TIME_WAIT, to a
private address, and how many a client outside made to it; and of how many more servers outside it is a client once.
"""

import contextlib
import fcntl
import os
import socket
import struct
import sys
import time

from truth.workloads import proto

OUTSIDE, OUTSIDE6, PRIVATE = "203.0.113.10", "2001:db8::10", "10.1.2.3"
_SIOCSIFADDR = 0x8916

proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
plain, six, mapped, shared, waiting, private, inbound, further = map(int, [*sys.argv[2:], "0"][:8])
with socket.socket() as one, socket.socket(socket.AF_INET6) as other:
    for alias, address in ((b"lo:1", OUTSIDE), (b"lo:2", PRIVATE)):
        request = struct.pack("=16sHH4s8x", alias, socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(one, _SIOCSIFADDR, request)
    fcntl.ioctl(other, _SIOCSIFADDR, struct.pack("=16sIi", socket.inet_pton(socket.AF_INET6, OUTSIDE6), 128, 1))
while True:  # the kernel brings an IPv6 address up in its own time
    with contextlib.suppress(OSError), socket.create_server((OUTSIDE6, 444), family=socket.AF_INET6):
        break
    time.sleep(0.01)
servers = {
    address: socket.create_server((address, 443), family=family, backlog=500)
    for address, family in ((OUTSIDE, socket.AF_INET), (OUTSIDE6, socket.AF_INET6), (PRIVATE, socket.AF_INET))
}
kept: list[socket.socket] = []


def connect(
    address: str, family: int = socket.AF_INET, source: str | None = None
) -> tuple[socket.socket, socket.socket]:
    client = socket.socket(family)
    if source:
        client.bind((source, 0))
    client.connect((f"::ffff:{address}" if family == socket.AF_INET6 and ":" not in address else address, 443))
    return client, servers[address].accept()[0]


for _ in range(shared):
    kept += connect(OUTSIDE)
child = os.fork()
if not child:
    proto.wait()
    os._exit(0)
for _ in range(plain):
    kept += connect(OUTSIDE)
for _ in range(six):
    kept += connect(OUTSIDE6, socket.AF_INET6)
for _ in range(mapped):
    kept += connect(OUTSIDE, socket.AF_INET6)
for _ in range(private):
    kept += connect(PRIVATE)
for _ in range(inbound):  # what is accepted leads outside as well
    kept += connect(PRIVATE, source=OUTSIDE)
for number in range(further):
    server = socket.create_server((OUTSIDE, 1000 + number))
    kept += (server, socket.create_connection((OUTSIDE, 1000 + number)), server.accept()[0])
for _ in range(waiting):
    client, server = connect(OUTSIDE)
    client.close()
    server.close()
proto.settle_tcp()
proto.ready(netns=inode)
proto.wait()
os.waitpid(child, 0)
