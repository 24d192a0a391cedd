"""A pod of another user: an inotify instance with watches, shared over fork, an epoll with some, and keys."""

import ctypes
import os
import platform
import select
import sys
import tempfile

from truth.workloads import proto

ADD_KEY = 248 if platform.machine() == "x86_64" else 217
KEY_SPEC_PROCESS_KEYRING, IN_ATTRIB = -2, 4

pod, uid, watches, polled, keys = sys.argv[1], *map(int, sys.argv[2:])
proto.close_inherited()
proto.enter_pod(pod)
os.setresuid(uid, uid, 0)  # the saved one goes back to leave the pod's cgroup at the end
instance = proto.checked(proto.libc.inotify_init1(0))
with tempfile.TemporaryDirectory() as folder:
    for number in range(watches):
        path = f"{folder}/{number}"
        os.mkdir(path)
        proto.checked(proto.libc.inotify_add_watch(instance, path.encode(), IN_ATTRIB))
    epoll = select.epoll()
    for _ in range(polled):
        epoll.register(os.eventfd(0))
    for number in range(keys):
        payload = b"x" * 10
        proto.checked(
            proto.libc.syscall(
                ADD_KEY, b"user", f"sockaudit:{number}".encode(), payload, ctypes.c_size_t(10), KEY_SPEC_PROCESS_KEYRING
            )
        )
    child = os.fork()
    if not child:
        proto.wait()
        os._exit(0)
    proto.ready(child=child)
    proto.wait()
    os.waitpid(child, 0)
os.setresuid(0, 0, 0)
