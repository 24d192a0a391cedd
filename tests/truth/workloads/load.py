"""A whole node's worth of descriptors: pods, each in a network namespace, with processes that hold a bit of everything.

Takes pods, network namespaces (pods beyond them share), processes, descriptors of each process, TCP sockets of each
namespace, and how many of a pod's processes share what they hold by fork (0: none).
"""

import os
import resource
import signal
import socket
import sys
import uuid
from collections.abc import Callable
from functools import partial

from truth.workloads import proto

_PR_SET_PDEATHSIG = 1


def open_file() -> int:
    return os.open("/etc/passwd", os.O_RDONLY)


def open_device() -> int:
    return os.open("/dev/null", os.O_RDWR)


def make_memory() -> int:
    return os.memfd_create("load")


def make_timer() -> int:
    return proto.checked(proto.libc.timerfd_create(1, 0))


def make_event() -> int:
    return os.eventfd(0)


def make_epoll() -> int:
    return proto.checked(proto.libc.epoll_create1(0))


SINGLE: tuple[Callable[[], int], ...] = (
    open_file,
    open_file,
    open_file,
    open_device,
    make_event,
    make_timer,
    make_memory,
)


def fill(shared: int, number: int) -> None:
    """Open descriptors until there are so many: of twelve, three files, two pipes' ends, two of a pair, one of the rest."""
    make_epoll()
    held = len(os.listdir("/proc/self/fd")) - 1
    while number - held >= 12:
        for make in SINGLE:
            make()
        os.pipe()
        os.dup(shared)
        for one in socket.socketpair():
            one.detach()
        held += 12
    for _ in range(number - held):
        open_file()


def hold(connections: int, descriptors: int, sharers: int) -> None:
    """Be one process of a pod, and perhaps parent of others with the same descriptors."""
    shared = serve(connections) if connections else open_file()
    fill(shared, descriptors)
    for _ in range(sharers):
        if os.fork() == 0:
            proto.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            break


def serve(connections: int) -> int:
    """Listen, and hold both ends of connections; the listener's descriptor."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    for _ in range(connections):
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        client.detach()
        accepted.detach()
    return listener.detach()


def forked(run: Callable[[], None], down: int) -> int:
    """Run in a child, which says that it is done, and stays."""
    child = os.fork()
    if child:
        return child
    try:
        proto.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        run()
        os.write(down, b".")
        os.close(down)
        while True:
            signal.pause()
    finally:
        os._exit(1)


def main() -> None:
    pods, namespaces, processes, descriptors, sockets, sharers = map(int, sys.argv[1:7])
    proto.close_inherited()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    base = "/sys/fs/cgroup/pids" if os.path.isdir("/sys/fs/cgroup/pids") else "/sys/fs/cgroup"
    top = f"{base}/sockaudit-truth-{os.getpid()}/kubepods"
    folders = [f"{top}/pod{uuid.uuid4()}/{os.urandom(32).hex()}" for _ in range(pods)]
    for folder in folders:
        os.makedirs(folder)
    up, down = os.pipe()

    def pod(number: int, mine: int) -> Callable[[], None]:
        def run() -> None:
            with open(f"{folders[number]}/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))
            share = sockets // 2 if number < namespaces else 0
            if number < namespaces:
                proto.enter_own_netns()
            for turn in range(mine):
                connections = share // mine + (turn < share % mine)
                forked(partial(hold, connections, descriptors, sharers), down)

        return run

    leaders = [forked(pod(number, processes // pods + (number < processes % pods)), down) for number in range(pods)]
    awaited = pods + processes * (1 + sharers)
    while awaited:
        said = os.read(up, awaited)
        if not said:
            break
        awaited -= len(said)
    proto.ready(pid=os.getpid(), missing=awaited)
    proto.wait()
    for leader in leaders:
        os.kill(leader, signal.SIGKILL)
    for leader in leaders:
        os.waitpid(leader, 0)


main()
