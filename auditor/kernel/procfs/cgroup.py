"""/proc/PID/cgroup, cgroups(7): where a process stands in each hierarchy."""

from auditor.kernel.errors import Malformed
from auditor.kernel.root import ProcDirectory

_DELETED = " (deleted)"  # the kernel's mark on the directory of a zombie or of a removed cgroup


def read(process: ProcDirectory, task: str = "") -> bytes:
    """Read the raw text. Any user may. Many processes share one text, so callers parse each text once.

    Under v1 a task that is ending shows `/`: where a leader has ended a thread tells (`task/TID/`).
    """
    return process.read(f"{task}cgroup")


def parse(data: bytes) -> tuple[tuple[str, str], ...]:
    """Parse into (controllers, path) pairs in the kernel's order. Bytes that are no UTF-8 are written as escapes."""
    return tuple(_line(line) for line in data.decode(errors="backslashreplace").split("\n") if line)


def _line(line: str) -> tuple[str, str]:
    hierarchy, _, rest = line.partition(":")
    controllers, colon, path = rest.partition(":")
    if not hierarchy.isdecimal() or not colon:
        raise Malformed("cgroup")
    return controllers, path.removesuffix(_DELETED)
