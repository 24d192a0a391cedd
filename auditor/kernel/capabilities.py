"""capabilities(7) of the calling thread: which it has, and giving them up for good."""

import ctypes
import os
import struct
from collections.abc import Collection

from auditor.kernel.errors import Denied

CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_BPF = 2, 19, 39
_VERSION_3 = 0x20080522
_HEADER = struct.Struct("=Ii")
_SETS = struct.Struct("=3I3I")  # effective, permitted, inheritable: the low halves, then the high ones
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


def limit_to(effective: Collection[int], permitted: Collection[int]) -> None:
    """Keep these capabilities and no other. Threads that are started later inherit them; those that run already do not.

    Args:
        effective: in force from now on.
        permitted: what may be put in force later.

    Raises:
        Denied: the kernel refuses, as it does when one is asked for that was given up.
    """
    header = _HEADER.pack(_VERSION_3, 0)
    one, other = _mask(effective), _mask(permitted)
    low, high = (1 << 32) - 1, 32
    sets = _SETS.pack(one & low, other & low, 0, one >> high, other >> high, 0)
    _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    if _LIBC.capset(header, sets) < 0:
        raise Denied(f"capset: {os.strerror(ctypes.get_errno())}")


def effective(*wanted: int) -> bool:
    """Whether the calling thread has all of these in force."""
    sets = ctypes.create_string_buffer(_SETS.size)
    if _LIBC.capget(_HEADER.pack(_VERSION_3, 0), sets) < 0:
        return False
    low, _, _, high, _, _ = _SETS.unpack(sets.raw)
    return not _mask(wanted) & ~(low | high << 32)


def _mask(capabilities: Collection[int]) -> int:
    return sum(1 << number for number in capabilities)
