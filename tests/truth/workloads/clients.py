"""A pod in a network namespace of its own: one server of two processes and many clients of it, from several addresses."""

import os
import resource
import socket
import sys

from truth.workloads import proto

proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
many = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (many + 200, many + 200))
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
    file.write("1025 65535")
server = socket.create_server(("127.0.0.1", 1024), backlog=100)
kept = []
worker = os.fork()
if not worker:  # another process of the server, which also plays the clients
    for number in range(many):
        client = socket.socket()
        if number % 5 == 0:
            client.bind((f"127.0.0.{2 + number % 4}", 0))
        client.connect(("127.0.0.1", 1024))
        kept.append(client)
        if number == 7:
            client.send(bytes(12_345))
    proto.wait()
    os._exit(0)
kept += [server.accept()[0] for _ in range(many)]
proto.ready(netns=inode, listener=server.fileno(), worker=worker, busy=kept[7].fileno())
proto.wait()
os.waitpid(worker, 0)
