"""A pod in a network namespace of its own with bytes that nobody reads, and with connections that nobody holds."""

import fcntl
import socket
import struct
import sys
import termios
import time

from truth.workloads import proto

SIOCOUTQ, ORPHANS, PAIRS = termios.TIOCOUTQ, 9, 4
RECEIVERS, DATAGRAMS = 24, 80
CHUNK = bytes(1 << 16)


def waiting(one: socket.socket) -> int:
    return sum(struct.unpack("=i", fcntl.ioctl(one, request, bytes(4)))[0] for request in (termios.FIONREAD, SIOCOUTQ))


def stuffed(one: socket.socket) -> socket.socket:
    one.settimeout(0)
    try:
        while True:
            one.send(CHUNK)
    except BlockingIOError:
        return one


proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
kept: list[socket.socket] = []
receivers: list[socket.socket] = []
for _ in range(PAIRS):
    kept += [stuffed(socket.create_connection(listener.getsockname())), listener.accept()[0]]
for _ in range(ORPHANS):
    client = stuffed(socket.create_connection(listener.getsockname()))
    kept.append(listener.accept()[0])
    client.close()  # with data unsent: it stays in FIN_WAIT1 while the peer does not read
time.sleep(0.3)
sender = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(RECEIVERS):  # so many that it shows: each CPU keeps up to 1 MiB to itself that sockstat does not count
    receiver = socket.socket(type=socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receivers.append(receiver)
    for _ in range(DATAGRAMS):
        sender.sendto(bytes(1000), receiver.getsockname())
proto.ready(netns=inode, orphans=ORPHANS, tcp=sum(map(waiting, kept)), udp=RECEIVERS * DATAGRAMS * 1000)
proto.wait()
