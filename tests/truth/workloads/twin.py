"""A network namespace with the same addresses as its twin: a connection whose peer has closed, and a UDP socket that drops."""

import socket

from truth.workloads import proto

inode = proto.enter_own_netns()
server = socket.create_server(("127.0.0.1", 7004))
client = socket.create_connection(("127.0.0.1", 7004))
accepted, _ = server.accept()
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 7004))
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(100):
    sender.sendto(bytes(1000), ("127.0.0.1", 7004))
client.close()
proto.ready(netns=inode)
proto.wait()
