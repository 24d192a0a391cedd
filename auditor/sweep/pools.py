"""Pools of the whole node, whose use and limit the kernel states side by side. A new one is one row here."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial

from auditor.kernel.errors import Absent, Denied, KernelError, Malformed
from auditor.kernel.procfs import maps, net_stat, sockstat, sysctl
from auditor.kernel.procfs.sockstat import Sockstat
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import BudgetHolding, Gap, Pool, percent
from auditor.sweep.budget import Budget
from auditor.sweep.descriptions import Comparer
from auditor.sweep.losses import Losses
from auditor.sweep.processes import Row

_NEAR_PERCENT = 50
_MAPS_SECONDS = 200e-6


@dataclass(frozen=True, slots=True)
class Source:
    """Where one pool is read.

    Attributes:
        limit: id of the limit.
        file: what is missing when it is.
        read: raises `KernelError`.
    """

    limit: str
    file: str
    read: Callable[[ProcDirectory], Pool]


@dataclass(frozen=True, slots=True)
class Pools:
    """What was read, and the ids of limits this node does not have."""

    found: tuple[Pool, ...] = ()
    missing: frozenset[str] = frozenset()

    def __add__(self, other: "Pools") -> "Pools":
        return Pools(self.found + other.found, self.missing | other.missing)

    def gaps(self) -> Iterable[Gap]:
        """Say what is not here to be audited. It is no limit that could not be judged: there is none."""
        if self.missing:
            detail = f"limits this kernel, or this network namespace, does not have: {', '.join(sorted(self.missing))}"
            yield Gap("missing-limits", detail, len(self.missing))


def _aio(top: ProcDirectory) -> Pool:
    """fs.aio-nr: events that all contexts of io_setup(2) were made for."""
    return Pool("aio", sysctl.read_number(top, "fs/aio-nr"), sysctl.read_number(top, "fs/aio-max-nr"))


def _ptys(top: ProcDirectory) -> Pool:
    """kernel.pty.nr. A devpts mounted outside of the initial mount namespace, a container's, leaves the reserve alone."""
    maximum = sysctl.read_number(top, "kernel/pty/max")
    reserve = sysctl.read_number(top, "kernel/pty/reserve")
    return Pool("ptys", sysctl.read_number(top, "kernel/pty/nr"), max(0, maximum - reserve))


def _orphans(top: ProcDirectory, counters: Sockstat) -> Pool:
    """`orphan` of sockstat, which every namespace shows of all."""
    return Pool("orphans", counters.orphans, sysctl.read_number(top, "net/ipv4/tcp_max_orphans"))


def _tcp_memory(top: ProcDirectory, counters: Sockstat) -> Pool:
    """`mem` of sockstat, in pages, against the third of tcp_mem; from the second on the kernel saves memory."""
    _, pressure, maximum = sysctl.read_numbers(top, "net/ipv4/tcp_mem", 3)
    return Pool("tcp-memory", counters.tcp_pages, maximum, pressure=pressure)


def _udp_memory(top: ProcDirectory, counters: Sockstat) -> Pool:
    """The same of UDP."""
    _, pressure, maximum = sysctl.read_numbers(top, "net/ipv4/udp_mem", 3)
    return Pool("udp-memory", counters.udp_pages, maximum, pressure=pressure)


def _neighbours(table: str, task: str, top: ProcDirectory) -> Pool:
    """Entries of the table against its gc_thresh3. Those that the garbage collector leaves alone are in it: too many."""
    family, scope = ("ipv4", "IPv4") if table == net_stat.IPV4 else ("ipv6", "IPv6")
    used = net_stat.read_entries(top, table, task)
    return Pool(
        "neighbours", used, sysctl.read_number(top, f"net/{family}/neigh/default/gc_thresh3"), scope, estimate=True
    )


_OF_SOCKETS: tuple[tuple[str, str, Callable[[ProcDirectory, Sockstat], Pool]], ...] = (
    ("orphans", "net/ipv4/tcp_max_orphans", _orphans),
    ("tcp-memory", "net/ipv4/tcp_mem", _tcp_memory),
    ("udp-memory", "net/ipv4/udp_mem", _udp_memory),
)
NETWORK = (*(limit for limit, _, _ in _OF_SOCKETS), "neighbours")
"""Ids of the limits whose files are the initial network namespace's alone."""


def network(task: str) -> list[Source]:
    """Return the sources that are read in the host's network namespace, whose /proc/net is below `task`."""
    counters = cache(partial(sockstat.read, task=task))  # several pools are in the one file
    return [
        *(Source(limit, file, partial(_counted, read, counters)) for limit, file, read in _OF_SOCKETS),
        *(
            Source("neighbours", f"net/stat/{table}", partial(_neighbours, table, task))
            for table in (net_stat.IPV4, net_stat.IPV6)
        ),
    ]


def _counted(
    read: Callable[[ProcDirectory, Sockstat], Pool], counters: Callable[[ProcDirectory], Sockstat], top: ProcDirectory
) -> Pool:
    return read(top, counters(top))


NODE = (Source("aio", "fs/aio-nr", _aio), Source("ptys", "kernel/pty", _ptys))


def take(root: ProcRoot, losses: Losses) -> Pools:
    """Read the pools that look the same from every namespace."""
    try:
        with root.top() as top:
            return read(root, top, NODE, losses)
    except KernelError as error:  # out of descriptors ourselves
        losses.count("sys", error, limits=[source.limit for source in NODE])
        return Pools()


def read(root: ProcRoot, top: ProcDirectory, sources: Iterable[Source], losses: Losses) -> Pools:
    """Read some pools.

    A file that a live /proc/sys does not have belongs to a feature this kernel was built without, or to another
    namespace: there is no such limit here. A recorded tree may just have been recorded without it.
    """
    found, missing = [], set()
    whole = root.live and _has_sysctls(top)
    for source in sources:
        try:
            found.append(source.read(top))
        except (Absent, Denied, Malformed) as error:
            if whole and isinstance(error, Absent):
                missing.add(source.limit)
            else:
                losses.count(source.file, error, limits=[source.limit])
    return Pools(tuple(found), frozenset(missing - {pool.limit for pool in found}))


def _has_sysctls(top: ProcDirectory) -> bool:
    try:
        top.stat("sys/kernel/pid_max")
    except KernelError:  # mounted with subset=pid, or covered
        return False
    return True


def with_holders(
    root: ProcRoot, pools: Pools, rows: Iterable[Row], masters: tuple[BudgetHolding, ...], budget: Budget
) -> Pools:
    """Fill in who holds what the kernel only counts: pseudo-terminals by their masters, contexts by their rings.

    Args:
        root: the tree.
        pools: as they were read.
        rows: all processes.
        masters: of pseudo-terminals.
        budget: CPU time that may go into it.
    """

    def holders(pool: Pool) -> tuple[BudgetHolding, ...]:
        if pool.limit == "ptys":
            return masters
        if pool.limit == "aio" and is_near(pool):
            return _rings(root, rows, budget)
        return ()

    return replace(pools, found=tuple(replace(pool, holders=holders(pool)) for pool in pools.found))


def is_near(pool: Pool) -> bool:
    """Whether a pool is half full, so that a closer look is worth its cost."""
    return (percent(pool.used, pool.maximum) or 0) >= _NEAR_PERCENT


def _rings(root: ProcRoot, rows: Iterable[Row], budget: Budget) -> tuple[BudgetHolding, ...]:
    """Look for contexts in the memory of each process. Whoever cannot be looked into is left out."""
    found = []
    for row in rows:
        if row.kernel_thread or not budget.allows(_MAPS_SECONDS):
            continue
        try:
            with root.process(row.pid) as process:
                events = maps.read_aio_events(process)
        except KernelError:
            continue
        if events:
            found.append(BudgetHolding((row.pid,), events))
    return tuple(found)


def held(comparer: Comparer, links: Iterable[str]) -> tuple[BudgetHolding, ...]:
    """Count the distinct descriptions under some links by all who refer to them.

    Where descriptors cannot be compared each counts as a description of its own.
    """
    counts = Counter(tuple(sorted({pid for _, _, pid in description})) for description in comparer.descriptions(links))
    return tuple(BudgetHolding(holders, number) for holders, number in sorted(counts.items()))
