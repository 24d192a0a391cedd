"""What each network namespace shows of itself: its counters, and its sockets one by one where it can be entered."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from auditor.kernel import netns
from auditor.kernel.errors import Absent, Denied, Gone
from auditor.kernel.procfs import sockstat
from auditor.kernel.procfs.port_range import PortRange
from auditor.kernel.procfs.sockstat import Sockstat
from auditor.kernel.root import ProcRoot
from auditor.model import Gap, Limit, Netns, PortUse
from auditor.sweep import flows, namespaces, pins, spared
from auditor.sweep import inside as inside_of
from auditor.sweep.descriptors import Holdings
from auditor.sweep.inside import CONNTRACK_FILES, Dump, Seen, recorded
from auditor.sweep.losses import OF_NAMESPACES, Losses
from auditor.sweep.memory import Spare, stale
from auditor.sweep.neighbours import look_closer
from auditor.sweep.pools import NETWORK, Pools
from auditor.sweep.processes import Row
from auditor.sweep.shown import DOORS, Shown, members_of, overflows, read_counters

_TRACKERS = frozenset({"cilium-agent"})  # they track connections in eBPF maps


@dataclass(frozen=True, slots=True)
class Dumps:
    """All namespaces.

    Attributes:
        counters: sockstat by inode of the namespace; `None` where it could not be read.
        inside: what was found in those that were entered.
        pools: of the whole node, as the network sees them.
        overflows: connections closed without TIME_WAIT, where the buckets are all but taken.
        cpu_seconds: spent on the thread that entered them.
    """

    counters: Mapping[int, Sockstat | None]
    inside: Mapping[int, Dump]
    gaps: tuple[Gap, ...]
    cpu_seconds: float
    pools: Pools = field(default_factory=Pools)
    overflows: Mapping[int, int] = field(default_factory=dict)

    @property
    def ports(self) -> tuple[PortUse, ...]:
        """What takes the most ephemeral ports in each namespace."""
        return tuple(use for _, dump in sorted(self.inside.items()) for use in dump.ports)

    @property
    def whole(self) -> frozenset[int]:
        """Namespaces whose sockets are all known."""
        return frozenset(inode for inode, dump in self.inside.items() if dump.whole)

    def netns(self) -> Iterator[Netns]:
        """Return them as facts. One that does not show its maximum of connections has the host's, as all have."""
        tracked = {inode: (entries, maximum) for inode, entries, maximum in _tracked(self.inside)}
        for inode, counter in sorted(self.counters.items()):
            dump = self.inside.get(inode, Dump())
            yield Netns(
                inode=inode,
                time_wait_buckets=counter.time_wait if counter else None,
                time_wait_max=dump.time_wait_max,
                time_wait_overflows=self.overflows.get(inode),
                flows=dump.flows,
                tcp_in_use=counter.tcp if counter else None,
                conntrack=tracked[inode][0] if inode in tracked else None,
                conntrack_max=tracked[inode][1] if inode in tracked else None,
                dumped=dump.whole,
                half_open=dump.half_open,
            )


def take(  # noqa: PLR0913, PLR0917 - all that is known of the network beforehand
    root: ProcRoot,
    rows: Iterable[Row],
    shown: Shown,
    holdings: Holdings,
    losses: Losses,
    spare: Spare,
    seen: Mapping[int, Seen] = MappingProxyType({}),
) -> Dumps:
    """Look into every namespace that a process is in, unless all of its sockets are known already.

    Args:
        root: the tree the rows were read from.
        rows: all processes.
        shown: what the namespaces show to anyone.
        holdings: what their descriptors refer to.
        losses: where failures are counted.
        spare: what earlier sweeps found, and what may be spent on reading again what did not change.
        seen: by inode, what is known already. Their sockets are left out of what is returned.
    """
    members = members_of(rows)
    host = namespaces.of_host(rows)
    own = netns.own_inode()
    counters = {inode: shown.counters[inode] for inode in members if inode in shown.counters}
    tracked = shown.tracked
    if late := {inode: some for inode, some in members.items() if inode not in counters}:  # they began meanwhile
        more, _ = read_counters(root, late, losses, ())
        counters |= more
    if not root.live:
        gap = Gap("netns-sockets", "sockets by state: this is a recorded tree, no kernel answers", len(counters))
        inside = {host: recorded(root, host, counters.get(host), losses)} if host is not None else {}
        if host is None:  # whose sysctls the tree has is not known
            losses.count("1/ns/net", Absent("1/ns/net"), limits=NETWORK)
        return Dumps(counters, inside, (gap,) if counters else (), 0.0, _pools(inside, host, losses))
    doors = {inode: [namespaces.door(root.path, row) for row in members[inode][:DOORS]] for inode in counters}
    daemons = members.get(host or own or 0, ())
    pinned = {inode: paths for inode, paths in pins.find(root, daemons, losses, spare).items() if inode not in members}

    ranges = spared.ranges_of(seen, spare.memory)
    prints = spared.remainders(seen, counters, ranges) if seen else spared.prints(members, counters, holdings)
    known = spare.memory.reusable(prints, spare.seconds, spare.patience)
    assumed = spared.assumed(seen, counters, known, spare, ranges)

    def look(inode: int) -> Dump:
        if inode in pinned:
            counters[inode] = losses.attempt("sockstat", lambda: _counters_here(root))
        return inside_of.look(
            root,
            inode,
            counters[inode],
            losses,
            with_unix=bool(holdings.holders_of),
            with_pools=inode in (own, host),
            memory=spare.memory,
            known=known.get(inode) or assumed.get(inode),
            seen=seen.get(inode),
        )

    def from_outside(ranges: Mapping[int, PortRange]) -> dict[int, Dump]:
        return {
            inode: inside_of.unentered(inode, seen[inode], counter, tcp, range_, tracked.get(inode))
            for inode, range_ in ranges.items()
            for counter in [counters.get(inode)]
            if counter is not None
            for tcp in [spared.without_entering(seen[inode], counter, known.get(inode) or assumed.get(inode), range_)]
            if tcp is not None
        }

    home = {own, host} | spare.memory.tracking
    unentered = from_outside({inode: range_ for inode, range_ in ranges.items() if inode not in home})
    entered = [(inode, paths) for inode, paths in (doors | pinned).items() if inode not in unentered]
    visits, seconds = netns.visit(entered, look, own=own)
    # Where nobody may enter, what is seen from outside may still be all there is to know, but for reserved ports.
    closed = {visit.inode for visit in visits if isinstance(visit.error, Denied)} & seen.keys()
    unentered |= from_outside({inode: PortRange(*range_) for inode in closed if (range_ := seen[inode].ports)})
    visits = [visit for visit in visits if visit.inode not in unentered]
    left = {visit.inode for visit in visits if isinstance(visit.error, Gone)}
    inside = {visit.inode: visit.result for visit in visits if visit.result is not None}
    tracking = any(dump.conntrack for dump in inside.values())
    spare.memory.ranges = {inode: dump.range for inode, dump in (inside | unentered).items() if dump.range}
    if tracking and not spare.memory.tracks:  # nobody knew that it is worth asking
        _, tracked = read_counters(root, {inode: members[inode] for inode in unentered}, losses, unentered)
        unentered = {inode: replace(dump, conntrack=tracked.get(inode)) for inode, dump in unentered.items()}
    spare.memory.tracks = tracking
    inside |= unentered
    spare.memory.remember_tracking(
        inode for inode, entries, maximum in _tracked(inside) if flows.near(entries, maximum)
    )
    found, more_seconds = look_closer(_pools(inside, host, losses), doors, own)
    spare.memory.keep_namespaces(prints, {inode: dump.tcp for inode, dump in inside.items() if dump.tcp})
    ages = [dump.age for inode, dump in known.items() if inode in inside]
    return Dumps(
        counters={inode: counter for inode, counter in counters.items() if inode not in left},
        inside=inside,
        gaps=(
            *_gaps(visits, pinned),
            *stale("stale-sockets", "states, queues and ports of TCP in namespaces that change little", ages),
            *spared.assumptions(assumed.keys() & inside.keys()),
            *_untracked(inside.get(host or 0), rows, losses),
        ),
        cpu_seconds=seconds + more_seconds,
        pools=found,
        overflows=overflows(root, counters, inside, members, losses),
    )


def _tracked(inside: Mapping[int, Dump]) -> Iterator[tuple[int, int, Limit]]:
    """Yield the entries of each namespace and their maximum, which is the same in all and does not show in all."""
    found = [(inode, *dump.conntrack) for inode, dump in inside.items() if dump.conntrack]
    shown = next((maximum for _, _, maximum in found if maximum is not None), None)
    for inode, entries, maximum in found:
        yield inode, entries, shown if maximum is None else maximum


def _pools(inside: Mapping[int, Dump], host: int | None, losses: Losses) -> Pools:
    """Choose the namespace that shows most of them. What is missing in the host's own is no limit of this node."""
    best = max((dump.pools for dump in inside.values()), key=lambda pools: len(pools.found), default=Pools())
    if host is not None and host in inside:
        if inside[host].conntrack is None and not losses.lost(*CONNTRACK_FILES):
            best += Pools(missing=frozenset({"conntrack"}))
        return best
    if best.missing:
        losses.count("sys/net of the host", Denied("1/ns/net"), limits=best.missing)
    return Pools(best.found)


def _counters_here(root: ProcRoot) -> Sockstat:
    with root.top() as top:
        return sockstat.read_here(top)


def _gaps(visits: Iterable[netns.Visit[Dump]], pinned: Container[int]) -> Iterator[Gap]:
    unseen = sum(visit.inode in pinned and visit.error is not None for visit in visits)
    if unseen:
        detail = (
            "network namespaces that only a mount keeps alive were not read: CAP_SYS_ADMIN and CAP_SYS_PTRACE show them, "
            "unless something else is mounted over them"
        )
        yield Gap("pinned-netns", detail, unseen)
    errors = [
        visit.error
        for visit in visits
        if visit.error is not None and not isinstance(visit.error, Gone) and visit.inode not in pinned
    ]
    if not errors:
        return
    if any(isinstance(error, Denied) for error in errors):
        detail = "network namespaces whose sockets and TIME_WAIT maximum were not read: CAP_SYS_ADMIN lets enter them"
    else:
        detail = f"network namespaces that could not be entered: {errors[0]}"
    yield Gap("netns-sockets", detail, len(errors), OF_NAMESPACES)


def _untracked(host: Dump | None, rows: Iterable[Row], losses: Losses) -> Iterator[Gap]:
    """Say that an empty nf_conntrack is no sign of health: connections may be tracked elsewhere."""
    if any(row.command in _TRACKERS for row in rows):
        detail = "Cilium runs here and tracks connections in eBPF maps of its own (bpf.ctMax): those do not show"
        yield Gap("conntrack-ebpf", detail)
    elif host is not None and not (host.conntrack and host.conntrack[0]) and not losses.lost(*CONNTRACK_FILES):
        detail = "nf_conntrack tracks nothing in the host's network namespace; what eBPF (Cilium) tracks does not show"
        yield Gap("conntrack-empty", detail)
