"""Two processes with one descriptor table (CLONE_FILES without CLONE_THREAD)."""

import os
import platform
import signal

from truth.workloads import proto

CLONE_FILES = 0x400
CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]

proto.close_inherited()
for _ in range(17):
    os.open("/dev/null", os.O_RDONLY)
child = proto.checked(proto.libc.syscall(CLONE, CLONE_FILES | signal.SIGCHLD, 0, 0, 0, 0))
if not child:
    proto.libc.prctl(1, signal.SIGKILL)
    while True:
        signal.pause()
proto.ready(keeper=os.getpid(), sharer=child, fds=3 + 17)
proto.wait()
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
