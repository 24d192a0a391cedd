"""A hostile pod: thousands of processes that each live for some seconds, beside some that stay, under odious names.

Takes the pod's uid, how many come and go, how many stay. Says the pids and descriptors of those that stay, and which
file lists the living: where the machine is busy, the dead wait to be reaped.
"""

import ctypes
import os
import random
import select
import sys
from contextlib import suppress

from truth.workloads import proto

PR_SET_NAME, NURSERY = 15, 100
NAMES = (
    b"\x1b[31mred\x07",
    b"a) S 1 1 (b",
    b"line\nbreak",
    b"\xff\xfe\x80",
    b"\xe2\x80\xaeevil",
    b"'\"`$(id)`",
    b"{{.x}}<b>&",
    b"",
)

pod, moving, staying = sys.argv[1], *map(int, sys.argv[2:])
proto.close_inherited()
folder = proto.enter_pod(pod)
with open(f"{folder}/pids.max", "w") as file:  # whatever happens, the machine must not run out
    file.write(str(moving + moving // NURSERY + staying + 100))
over_read, over_write = os.pipe()
over = select.poll()
over.register(over_read, select.POLLHUP)  # when the parent has closed its end


def rename(number: int) -> None:
    proto.libc.prctl(PR_SET_NAME, ctypes.c_char_p(NAMES[number % len(NAMES)]), 0, 0, 0)


def live_and_die() -> None:
    rename(random.randrange(len(NAMES)))
    over.poll(random.randrange(4_000, 24_000))
    os._exit(0)


def rear(many: int) -> None:
    """Keep so many children alive until it is over."""
    alive = 0
    while not over.poll(0):
        while alive < many:
            with suppress(BlockingIOError):
                if not os.fork():
                    live_and_die()
                alive += 1
        os.waitpid(-1, 0)
        alive -= 1
    for _ in range(alive):
        os.waitpid(-1, 0)
    os._exit(0)


stay: dict[int, int] = {}
for number in range(staying):
    many = 3 + number % 7
    pid = os.fork()
    if not pid:
        os.close(over_write)
        rename(number)
        os.closerange(0, 3)
        for _ in range(many - 1):  # beside the pipe
            os.open("/dev/null", os.O_RDONLY)
        over.poll()
        os._exit(0)
    stay[pid] = many
for _ in range(moving // NURSERY):
    if not os.fork():
        os.close(over_write)
        rear(NURSERY)
with open(f"{folder}/pids.current") as file:
    while int(file.read()) < moving:
        over.poll(100)
        file.seek(0)
proto.ready(pids=list(stay), fds=list(stay.values()), living=f"{folder}/{'c' * 64}/cgroup.procs")
proto.wait()
os.close(over_write)
for _ in range(staying + moving // NURSERY):
    os.wait()
