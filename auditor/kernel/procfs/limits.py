"""/proc/PID/limits, proc_pid_limits(5): resource limits of a process."""

from auditor.kernel.errors import Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory
from auditor.model import UNLIMITED, Limit


def read_open_files(process: ProcDirectory) -> tuple[Limit, Limit]:
    """Read RLIMIT_NOFILE as (soft, hard). Any user may; prlimit(2) on another's process needs CAP_SYS_RESOURCE."""
    return parse_open_files(process.read("limits"))


def parse_open_files(data: bytes) -> tuple[Limit, Limit]:
    """Parse the `Max open files` line."""
    _, found, rest = data.partition(b"Max open files")
    figures = rest.split(b"\n", 1)[0].split()
    try:
        if not found:
            raise Malformed("limits")
        return _limit(figures[0]), _limit(figures[1])
    except (ValueError, IndexError):
        raise Malformed("limits") from None


def _limit(text: bytes) -> Limit:
    if text == b"unlimited":
        return UNLIMITED
    return natural(text)
