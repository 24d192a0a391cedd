"""Network namespaces that need not be dumped, or not even entered, for what that would tell is known."""

from collections.abc import Collection, Container, Iterator, Mapping

from auditor.kernel.procfs.port_range import PortRange
from auditor.kernel.procfs.sockstat import Sockstat
from auditor.model import Gap
from auditor.sweep.descriptors import Holdings
from auditor.sweep.dumped import Sockets, TcpDump
from auditor.sweep.inside import Seen, reaches, reaches_udp
from auditor.sweep.memory import Memory, Spare
from auditor.sweep.processes import Row


def prints(
    members: Mapping[int, list[Row]], counters: Mapping[int, Sockstat | None], holdings: Holdings
) -> dict[int, int]:
    """Give each namespace a number that changes when its counters do, or the sockets that its processes hold."""
    return {
        inode: hash(
            (
                (counter.tcp, counter.time_wait),
                frozenset((row.pid, row.start, row.fds, holdings.prints.get(row.pid)) for row in members[inode]),
            )
        )
        for inode, counter in counters.items()
        if counter is not None and inode in members
    }


def remainders(
    seen: Mapping[int, Seen], counters: Mapping[int, Sockstat | None], ranges: Mapping[int, PortRange]
) -> dict[int, int]:
    """Give each namespace a number that changes when the sockets do that no descriptor leads to.

    Where it is asked for the ports of all of them, with the number of all, and the ranges that some have.
    """
    return {
        inode: hash(
            (
                counter.tcp - seen[inode].tcp,
                counter.time_wait,
                counter.tcp if inode in ranges and reaches(counter, ranges[inode]) else None,
                seen[inode].own_ports,
            )
        )
        for inode, counter in counters.items()
        if counter is not None and inode in seen
    }


def ranges_of(seen: Mapping[int, Seen], memory: Memory) -> dict[int, PortRange]:
    """Return the ranges of ephemeral ports that are known and still as they were."""
    return {
        inode: range_.with_own(seen[inode].own_ports) if seen[inode].own_ports or range_.own else range_
        for inode, range_ in memory.ranges.items()
        if inode in seen and seen[inode].ports == (range_.low, range_.high)
    }


def assumed(
    seen: Mapping[int, Seen],
    counters: Mapping[int, Sockstat | None],
    known: Container[int],
    spare: Spare,
    ranges: Mapping[int, PortRange],
) -> dict[int, TcpDump]:
    """Choose the namespaces where mini-sockets are all that is unknown, and telling them apart is not worth its cost."""
    if spare.seconds is None or spare.egress:
        return {}
    assumed, spent, each = {}, 0.0, spare.memory.usual_seconds()
    for inode, counter in counters.items():
        if counter is None or inode not in seen or inode in known or counter.tcp != seen[inode].tcp:
            continue
        if inode in ranges and reaches(counter, ranges[inode]):  # it is asked where they went
            continue
        if counter.time_wait and spent + each > spare.seconds:
            assumed[inode] = TcpDump(Sockets(), {}, mini_sockets=counter.time_wait)
        elif counter.time_wait:
            spent += each
    return assumed


def assumptions(inodes: Collection[int]) -> Iterator[Gap]:
    """Say of how many that was done."""
    if inodes:
        detail = "network namespaces whose FIN_WAIT2 mini-sockets were counted as TIME_WAIT, to spare CPU"
        yield Gap("time-wait-detail", detail, len(inodes))


def without_entering(seen: Seen, counter: Sockstat, dump: TcpDump | None, range_: PortRange) -> TcpDump | None:
    """Return the TCP sockets of a namespace in which nothing is left to look for, else `None`."""
    if seen.time_wait_max is None or not seen.is_all_udp(counter) or reaches_udp(counter, range_):
        return None
    if dump is not None:
        return dump if dump.ports is not None or not reaches(counter, range_) else None
    return TcpDump(Sockets(), {}) if seen.is_all(counter) and not reaches(counter, range_) else None
