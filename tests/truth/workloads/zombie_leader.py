"""A leader that ended while threads of its live on and hold the descriptors; and a child that is a plain zombie."""

import os
import platform
import socket
import threading

from truth.workloads import proto

EXIT = {"x86_64": 60, "aarch64": 93}[platform.machine()]

CONNECTIONS = 10

proto.close_inherited()
inode = proto.enter_own_netns()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
connections = []
for _ in range(CONNECTIONS):
    connections += [socket.create_connection(listener.getsockname()), listener.accept()[0]]
for _ in range(21):
    os.open("/dev/null", os.O_RDONLY)
zombie = os.fork()
if not zombie:
    os._exit(0)
os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)


def live_on() -> None:
    while True:
        with open(f"/proc/{os.getpid()}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                break
    proto.ready(pid=os.getpid(), zombie=zombie, netns=inode, fds=3 + 21 + 1 + 2 * CONNECTIONS)
    proto.wait()
    os._exit(0)


for _ in range(3):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
threading.Thread(target=live_on).start()
proto.libc.syscall(EXIT, 0)
