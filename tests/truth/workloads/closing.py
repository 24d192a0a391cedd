"""A pod in a network namespace of its own: a server whose clients have all closed. Takes how many clients: from the first of
them it still holds one connection, from the second two, and so on.
"""

import socket
import sys

from truth.workloads import proto

proto.close_inherited()
proto.enter_pod(sys.argv[1])
proto.enter_own_netns()
server = socket.create_server(("127.0.0.1", 1024), backlog=100)
kept = []
for number in range(1, int(sys.argv[2]) + 1):
    for _ in range(number):
        with socket.socket() as client:
            client.bind((f"127.0.1.{number}", 0))
            client.connect(("127.0.0.1", 1024))
            kept.append(server.accept()[0])
proto.settle_tcp()
proto.ready()
proto.wait()
