"""The pids controller, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/pids.rst: tasks a cgroup has and may have."""

from auditor.kernel.errors import Absent
from auditor.kernel.procfs import sysctl
from auditor.kernel.root import ProcDirectory
from auditor.model import UNLIMITED, Limit


def read_pids_max(process: ProcDirectory, folder: str) -> Limit:
    """Read pids.max of a cgroup that is there; one without the file (the root, or not delegated to) has no limit.

    Args:
        process: from whose root directory the cgroup is seen.
        folder: of the cgroup, from that root.

    Raises:
        Absent: there is no such cgroup.
    """
    try:
        data = process.read(f"root{folder}/pids.max")
    except Absent:
        process.stat(f"root{folder}")
        return UNLIMITED
    return parse_pids_max(data)


def parse_pids_max(data: bytes) -> Limit:
    """Parse a figure, or `max`."""
    return UNLIMITED if data.strip() == b"max" else sysctl.parse_number(data)


def read_pids_current(process: ProcDirectory, folder: str) -> int:
    """Read how many tasks a cgroup and those below it have."""
    return sysctl.parse_number(process.read(f"root{folder}/pids.current"))
