"""Descriptors of every kind, in numbers that are all different."""

import os
import pty
import select
import signal
import socket
import tempfile

from truth.workloads import proto

proto.close_inherited()
kept: list[object] = []
expected = {"pipe": 2, "device": 1}  # stdin and stdout; stderr is /dev/null


def hold(kind: str, *fds: int) -> None:
    kept.append(fds)
    expected[kind] = expected.get(kind, 0) + len(fds)


os.dup2(os.open("/dev/null", os.O_RDWR), 2)
os.closerange(3, 4096)
for _ in range(3):
    hold("file", os.open(__file__, os.O_RDONLY))
hold("file", os.open("/", os.O_RDONLY | os.O_DIRECTORY), os.open("/proc/self/stat", os.O_RDONLY))
in_shm, name = tempfile.mkstemp(dir="/dev/shm")
os.unlink(name)
hold("file", in_shm)  # below /dev, and yet a file
for _ in range(2):
    pair = socket.socketpair()
    hold("socket", *(end.detach() for end in pair))
hold("socket", socket.socket(socket.AF_INET, socket.SOCK_STREAM).detach())
for _ in range(4):
    hold("pipe", *os.pipe())
for _ in range(6):
    epoll = select.epoll()
    kept.append(epoll)
    hold("epoll", epoll.fileno())
for _ in range(9):
    hold("eventfd", os.eventfd(0))
for _ in range(11):
    hold("inotify", proto.checked(proto.libc.inotify_init1(0)))
for _ in range(12):
    hold("timerfd", proto.checked(proto.libc.timerfd_create(1, 0)))
mask = (1 << (signal.SIGUSR1 - 1)).to_bytes(128, "little")
for _ in range(13):
    hold("signalfd", proto.checked(proto.libc.signalfd(-1, mask, 0)))
hold("tty", *pty.openpty())
for device in ("/dev/null", "/dev/zero", "/dev/urandom"):
    hold("device", os.open(device, os.O_RDONLY))
for _ in range(14):
    hold("memfd", os.memfd_create("socket:[1]"))
hold("other", os.pidfd_open(os.getpid()), os.open("/proc/self/ns/net", os.O_RDONLY))
proto.ready(kinds=expected)
proto.wait()
