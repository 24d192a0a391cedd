"""What network namespaces show to anyone, through the /proc of a process that is in them."""

import time
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from auditor.kernel.errors import Absent, Denied, Gone, Malformed
from auditor.kernel.procfs import netstat, sockstat
from auditor.kernel.procfs.sockstat import Sockstat
from auditor.kernel.root import ProcRoot
from auditor.sweep.inside import Conntrack, Dump, conntrack_of
from auditor.sweep.losses import Losses
from auditor.sweep.memory import Spare
from auditor.sweep.processes import Row

DOORS = 4
"""Members of a namespace through which it is tried to be read or entered."""

_NEARLY_FULL = 0.9  # of the TIME_WAIT buckets
_NOTHING: Conntrack = (0, None)


@dataclass(frozen=True, slots=True)
class Shown:
    """What namespaces show to anyone.

    Attributes:
        counters: sockstat by inode; `None` where it could not be read.
        tracked: how many connections those track that were asked.
    """

    counters: dict[int, Sockstat | None]
    tracked: dict[int, Conntrack | None]


def look_from_outside(
    root: ProcRoot, rows: Iterable[Row], losses: Losses, spare: Spare, *, tracking: bool = False
) -> Shown:
    """Read the counters of every namespace that a process is in.

    Args:
        root: the tree the rows were read from.
        rows: all processes.
        losses: where failures are counted.
        spare: which need not be asked how many connections they track.
        tracking: whether any is asked.
    """
    members, memory = members_of(rows), spare.memory
    if not (tracking and memory.tracks):
        return Shown(*read_counters(root, members, losses, ()))
    resting = spare.resting(memory.untracked, members)
    counters, tracked = read_counters(root, members, losses, members.keys() - resting)
    now = time.monotonic()
    memory.untracked = resting | {inode: now for inode, found in tracked.items() if found == _NOTHING}
    return Shown(counters, tracked | dict.fromkeys(resting, _NOTHING))


def members_of(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Return the processes of each namespace."""
    members = defaultdict(list)
    for row in rows:
        if row.netns is not None:
            members[row.netns].append(row)
    return members


def read_counters(
    root: ProcRoot, members: Mapping[int, list[Row]], losses: Losses, tracking: Container[int]
) -> tuple[dict[int, Sockstat | None], dict[int, Conntrack | None]]:
    """Read sockstat of each namespace through the first member that answers. A namespace all have left is left out.

    Args:
        root: the tree.
        members: processes of each namespace.
        losses: where failures are counted.
        tracking: namespaces of which to read how many connections they track, as the same door is open.
    """
    counters: dict[int, Sockstat | None] = {}
    tracked = {}
    for inode, rows in members.items():
        for row in rows[:DOORS]:
            try:
                with root.process(row.pid) as process:
                    counters[inode] = sockstat.read(process, row.task)
                    if inode in tracking:
                        tracked[inode] = conntrack_of(process, row.task, losses)
            except Gone:
                continue
            except (Absent, Denied, Malformed) as error:
                if root.live and isinstance(error, Absent):
                    continue  # it is ending
                losses.count("sockstat", error)
                counters[inode] = None
            break
    return counters, tracked


def overflows(
    root: ProcRoot,
    counters: Mapping[int, Sockstat | None],
    inside: Mapping[int, Dump],
    members: Mapping[int, list[Row]],
    losses: Losses,
) -> dict[int, int]:
    """Read how many connections found no bucket, where there is hardly one left: the file is long."""
    found = {}
    for inode, counter in counters.items():
        maximum = inside[inode].time_wait_max if inode in inside else None
        if counter is None or not isinstance(maximum, int) or counter.time_wait < _NEARLY_FULL * maximum:
            continue
        for row in members.get(inode, ())[:DOORS]:
            try:
                with root.process(row.pid) as process:
                    found[inode] = netstat.read_time_wait_overflows(process, row.task)
            except Gone:
                continue
            except (Absent, Denied, Malformed) as error:
                losses.count("net/netstat", error)
            break
    return found
