"""kcmp(2): whether two tasks refer to the same kernel object, as a total order, so that many can be sorted."""

import ctypes
import errno
import os
import platform
from typing import NoReturn

from auditor.kernel.errors import Absent, Denied, Gone, Malformed

_NUMBERS = {
    "x86_64": 312,
    "aarch64": 272,
    "riscv64": 272,
    "loongarch64": 272,
    "ppc64le": 354,
    "s390x": 343,
}
_KCMP_FILE = 0
_KCMP_FILES = 2
_ORDER = {0: 0, 1: -1, 2: 1}

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong]
_syscall.restype = ctypes.c_long
_number = _NUMBERS.get(platform.machine(), -1)  # -1 is no call anywhere: ENOSYS


def compare_files(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    """Order two (task, descriptor, anything) by the open file description they refer to; 0 means the same one.

    Raises:
        Gone: a task ended or a descriptor was closed.
        Denied: without CAP_SYS_PTRACE, or refused by a seccomp filter.
        Absent: not built into this kernel, or unknown on this architecture.
    """
    # Called for every pair of a sort: no helper in between.
    result = _syscall(_number, one[0], other[0], _KCMP_FILE, one[1], other[1])
    return _ORDER[result] if result in _ORDER else _fail(result)


def compare_tables(one: int, other: int) -> int:
    """Order two tasks by their descriptor table; 0 means a shared one. Raises as `compare_files`."""
    result = _syscall(_number, one, other, _KCMP_FILES, 0, 0)
    return _ORDER[result] if result in _ORDER else _fail(result)


def is_usable() -> bool:
    """Whether the call works on this process itself, i.e. is built in and not filtered."""
    own = os.getpid()
    try:
        return compare_tables(own, own) == 0
    except (Absent, Denied, Gone, Malformed):
        return False


def _fail(result: int) -> NoReturn:
    match ctypes.get_errno() if result < 0 else 0:
        case errno.ESRCH | errno.EBADF:
            raise Gone("kcmp")
        case errno.EPERM | errno.EACCES:
            raise Denied("kcmp")
        case errno.ENOSYS:
            raise Absent("kcmp")
        case _:
            raise Malformed("kcmp")
