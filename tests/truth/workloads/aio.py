"""A pod that made contexts for as many asynchronous I/O events as it was told."""

import ctypes
import platform
import sys

from truth.workloads import proto

IO_SETUP, IO_DESTROY = (206, 207) if platform.machine() == "x86_64" else (0, 1)

proto.close_inherited()
proto.enter_pod(sys.argv[1])
context = ctypes.c_ulong(0)
proto.checked(proto.libc.syscall(IO_SETUP, int(sys.argv[2]), ctypes.byref(context)))
proto.ready()
proto.wait()
proto.libc.syscall(IO_DESTROY, context)
