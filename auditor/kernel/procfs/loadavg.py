"""/proc/loadavg, proc_loadavg(5): how many tasks there are."""

from auditor.kernel.errors import Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory


def read_tasks(top: ProcDirectory) -> int:
    """Read the number of tasks (threads, zombies included) of the whole system, whatever the reader's PID namespace."""
    return parse_tasks(top.read("loadavg"))


def parse_tasks(data: bytes) -> int:
    """Parse the second half of the fourth field, `2/1031`."""
    try:
        _, tasks = (natural(text) for text in data.split()[3].split(b"/"))
    except (ValueError, IndexError):
        raise Malformed("loadavg") from None
    return tasks
