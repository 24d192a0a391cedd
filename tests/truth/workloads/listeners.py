"""A pod in a network namespace of its own with a listener that accepts too little, one of MPTCP and an idle one."""

import socket
import sys
from contextlib import suppress

from truth.workloads import proto

BACKLOG, ACCEPTED, WAITING, LATE = 9, 3, 8, 5
IPPROTO_MPTCP = 262


def listener(family: int, address: str, protocol: int = 0, backlog: int = BACKLOG) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM, protocol)
    one.bind((address, 0))
    one.listen(backlog)
    return one


def connect(to: socket.socket, many: int, family: int = socket.AF_INET) -> list[socket.socket]:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    return [socket.create_connection((address, to.getsockname()[1])) for _ in range(many)]


proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
busy = listener(socket.AF_INET, "127.0.0.1")
kept = connect(busy, ACCEPTED)
accepted = [busy.accept()[0] for _ in range(ACCEPTED)]
waiting = int(sys.argv[2])
kept += connect(busy, waiting)
if waiting > BACKLOG:
    for _ in range(LATE):  # the kernel drops what follows, and they try again
        late = socket.socket()
        late.settimeout(0)
        with suppress(BlockingIOError):
            late.connect(busy.getsockname())
        kept.append(late)
idle = listener(socket.AF_INET6, "::", backlog=100)
rows = {"busy": busy.getsockname()[1], "idle": idle.getsockname()[1]}
with suppress(OSError):
    multipath = listener(socket.AF_INET6, "::", IPPROTO_MPTCP, 16)
    kept += connect(multipath, 4) + connect(multipath, 1, socket.AF_INET6)
    rows["mptcp"] = multipath.getsockname()[1]
proto.ready(netns=inode, accepted=ACCEPTED, waiting=waiting, backlog=BACKLOG, **rows)
proto.wait()
