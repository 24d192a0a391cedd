"""/proc/loadavg, proc_loadavg(5): how many tasks there are."""

from auditor.kernel.errors import Malformed
from auditor.kernel.root import ProcDirectory


def read_tasks(top: ProcDirectory) -> int:
    """Read the number of tasks (threads, zombies included) of the whole system, whatever the reader's PID namespace."""
    return parse_tasks(top.read("loadavg"))


def parse_tasks(data: bytes) -> int:
    """Parse the second half of the fourth field, `2/1031`."""
    try:
        running, tasks = (int(text) for text in data.split()[3].split(b"/"))
    except (ValueError, IndexError):
        raise Malformed("loadavg") from None
    if running < 0 or tasks < 0:
        raise Malformed("loadavg")
    return tasks
