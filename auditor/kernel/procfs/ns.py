"""/proc/PID/ns/net, namespaces(7): which network namespace a process is in."""

from auditor.kernel.errors import Malformed
from auditor.kernel.root import ProcDirectory


def read_net(process: ProcDirectory, task: str = "") -> int:
    """Read the inode number of the namespace. Another user's process needs CAP_SYS_PTRACE.

    Args:
        process: pinned.
        task: `task/TID/` to ask a thread: a zombie has no namespaces left.
    """
    return parse_net(process.link(f"{task}ns/net"))


def parse_net(target: str) -> int:
    """Parse `net:[4026531840]`."""
    number = target.removeprefix("net:[").removesuffix("]")
    if target != f"net:[{number}]" or not number.isascii() or not number.isdigit() or len(number) > 20:  # noqa: PLR2004
        raise Malformed("ns/net")
    return int(number)
