"""A pod in a network namespace of its own with listeners that accept too little.

Takes the pod's uid, how many wait at the first, and perhaps `all`: then one of each kind is full. Told anything, it lets
further clients try the first and a datagram socket overflow.
"""

import atexit
import os
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


def try_in_vain(to: socket.socket) -> None:
    """Have clients dropped, each of them once."""
    for _ in range(LATE):
        with socket.socket() as late, suppress(BlockingIOError):
            late.settimeout(0)
            late.connect(to.getsockname())


proto.close_inherited()
proto.enter_pod(sys.argv[1])
inode = proto.enter_own_netns()
busy = listener(socket.AF_INET, "127.0.0.1")
kept = connect(busy, ACCEPTED)
accepted = [busy.accept()[0] for _ in range(ACCEPTED)]
waiting = int(sys.argv[2])
kept += connect(busy, waiting)
if waiting > BACKLOG:
    try_in_vain(busy)
idle = listener(socket.AF_INET6, "::", backlog=100)
rows = {"busy": busy.getsockname()[1], "idle": idle.getsockname()[1]}
with suppress(OSError):
    multipath = listener(socket.AF_INET6, "::", IPPROTO_MPTCP, 16)
    kept += connect(multipath, 4) + connect(multipath, 1, socket.AF_INET6)
    rows["mptcp"] = multipath.getsockname()[1]
full: dict[str, int | str] = {}
if sys.argv[3:] == ["all"]:
    six = listener(socket.AF_INET6, "::1", backlog=2)
    dual = listener(socket.AF_INET6, "::", backlog=2)
    kept += [six, dual, *connect(six, 3, socket.AF_INET6), *connect(dual, 2), *connect(dual, 1, socket.AF_INET6)]
    shared = [socket.socket() for _ in range(2)]
    for one in shared:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 7777))
        one.listen(2)
    for _ in range(40):  # the kernel spreads them; what is dropped tries again
        late = socket.socket()
        late.settimeout(0)
        with suppress(BlockingIOError):
            late.connect(("127.0.0.1", 7777))
        kept.append(late)
    local, abstract = f"/tmp/sockaudit-truth-{os.getpid()}", f"\0sockaudit-{os.getpid()}"
    atexit.register(os.unlink, local)
    for path in (local, abstract):
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(path)
        unix.listen(2)
        kept.append(unix)
        for _ in range(3):
            kept.append(socket.socket(socket.AF_UNIX))
            kept[-1].connect(path)
    kept += shared
    with suppress(OSError):
        many = listener(socket.AF_INET, "127.0.0.1", IPPROTO_MPTCP, 2)
        kept += [many, *connect(many, 3)]
        full["multipath"] = many.getsockname()[1]
        try_in_vain(many)
    full |= {"six": six.getsockname()[1], "dual": dual.getsockname()[1], "shared": 7777, "path": local}
    full["abstract"] = f"@{abstract[1:]}"
deaf = socket.socket(type=socket.SOCK_DGRAM)
deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
deaf.bind(("127.0.0.1", 0))
speaker = socket.socket(type=socket.SOCK_DGRAM)
proto.ready(
    netns=inode, accepted=ACCEPTED, waiting=waiting, backlog=BACKLOG, deaf=deaf.getsockname()[1], **rows, **full
)
for _line in sys.stdin:
    try_in_vain(busy)
    for _ in range(100):
        speaker.sendto(bytes(500), deaf.getsockname())
    sys.stdout.write("tried\n")
    sys.stdout.flush()
