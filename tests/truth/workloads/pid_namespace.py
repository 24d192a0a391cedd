"""A PID namespace of its own with a procfs of its own, to be read from outside, where its pids mean others."""

import os
import signal

from truth.workloads import proto

CLONE_NEWPID, CLONE_NEWNS, MS_PRIVATE_REC = 0x20000000, 0x20000, 0x44000

proto.close_inherited()
proto.checked(proto.libc.unshare(CLONE_NEWPID | CLONE_NEWNS))
proto.checked(proto.libc.mount(b"none", b"/", None, MS_PRIVATE_REC, None))
up, down = os.pipe()
first = os.fork()
if not first:
    proto.libc.prctl(1, signal.SIGKILL)
    proto.checked(proto.libc.mount(b"proc", b"/proc", b"proc", 0, None))
    done = os.dup2(down, 3)
    os.closerange(4, 4096)
    for _ in range(8):
        os.open("/dev/null", os.O_RDONLY)
    proto.checked(proto.libc.inotify_init1(0))
    os.close(done)  # which is what tells: then nothing else is open
    while True:
        signal.pause()
os.close(down)
os.read(up, 1)
proto.ready(root=f"/proc/{first}/root/proc", kinds={"pipe": 2, "device": 8, "inotify": 1}, stderr=1)
proto.wait()
os.kill(first, signal.SIGKILL)
os.waitpid(first, 0)
