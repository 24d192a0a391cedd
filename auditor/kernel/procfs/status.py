"""/proc/PID/status, proc_pid_status(5): credentials."""

from auditor.kernel.errors import Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory

_EFFECTIVE = 1  # Uid: real, effective, saved, filesystem


def read_effective_uid(process: ProcDirectory) -> int:
    """Read the effective user id as the reader's user namespace sees it. Any user may.

    The owner of the directory would be cheaper, but says root for every process that is not dumpable.
    """
    return parse_effective_uid(process.read("status"))


def reduce(data: bytes) -> bytes:
    """Keep comm and what is parsed."""
    return b"".join(line + b"\n" for line in data.split(b"\n") if line.startswith((b"Name:", b"Uid:")))


def parse_effective_uid(data: bytes) -> int:
    """Parse the second figure of the `Uid:` line."""
    _, found, rest = data.partition(b"\nUid:")
    try:
        if not found:
            raise Malformed("status")
        uid = natural(rest.split(b"\n", 1)[0].split()[_EFFECTIVE])
    except (ValueError, IndexError):
        raise Malformed("status") from None
    if not 0 <= uid <= 0xFFFFFFFF:  # noqa: PLR2004 - uid_t
        raise Malformed("status")
    return uid
