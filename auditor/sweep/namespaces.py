"""Which network namespace each process is in, also where the kernel refuses to say it outright."""

from collections import defaultdict
from collections.abc import Iterable

from auditor.kernel.errors import Denied, KernelError
from auditor.kernel.procfs import sockstat
from auditor.kernel.root import ProcRoot
from auditor.sweep.losses import Losses
from auditor.sweep.processes import Row

_ASKED = 4  # members of a namespace, for the first may have ended


def of_host(rows: Iterable[Row]) -> int | None:
    """Return the network namespace of process 1, as far as it is known."""
    return next((row.netns for row in rows if row.pid == 1), None)


def door(path: str, row: Row) -> str:
    """Return what leads to the network namespace of a process of the tree at a path."""
    return f"{path}/{row.pid}/{row.task}ns/net"


def complete(root: ProcRoot, rows: Iterable[Row], losses: Losses) -> None:
    """Fill in the namespaces that were refused.

    Anyone may ask for the inode number of /proc/PID/net/sockstat, which the kernel makes once for each namespace: two
    processes that show the same file are in the same one. What no such comparison tells is counted as denied.
    """
    refused = [row for row in rows if row.netns_refused]
    if not refused:
        return
    names: dict[int, int] = {}
    members = defaultdict(list)
    for row in rows:
        if row.netns is not None:
            members[row.netns].append(row)
    others = iter(members.items())  # looked at as far as is needed
    for row in refused:
        file = _file(root, row)
        while file is not None and file not in names and (other := next(others, None)):
            inode, several = other
            shown = next(filter(None, (_file(root, member) for member in several[:_ASKED])), None)
            if shown is not None:
                names[shown] = inode
        row.netns = names.get(file) if file is not None else None
        if row.netns is None:
            losses.count("netns", Denied(f"{row.pid}/ns/net"), row.pid)


def _file(root: ProcRoot, row: Row) -> int | None:
    if not root.mounted:
        return None
    try:
        with root.process(row.pid) as process:
            return sockstat.identity(process, row.task)
    except KernelError:
        return None
