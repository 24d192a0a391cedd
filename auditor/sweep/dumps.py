"""What each network namespace shows of itself: its counters, and its sockets one by one where it can be entered."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from auditor.kernel import diag, netns
from auditor.kernel.errors import Absent, Denied, Gone, KernelError, Malformed
from auditor.kernel.procfs import mountinfo, net_stat, sockstat, sysctl
from auditor.kernel.procfs.sockstat import Sockstat
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import Gap, Netns, TcpState
from auditor.sweep import pools
from auditor.sweep.descriptors import Holdings
from auditor.sweep.losses import OF_NAMESPACES, Losses
from auditor.sweep.memory import End, Sockets, Spare, TcpDump, stale
from auditor.sweep.neighbours import look_closer
from auditor.sweep.pools import Pools
from auditor.sweep.processes import Row

_DOORS = 4  # members of a namespace through which it is tried to be read or entered
_TIME_WAIT_MAX = "net/ipv4/tcp_max_tw_buckets"
_CONNTRACK, _CONNTRACK_MAX = "net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max"

Conntrack = tuple[int, int | None]
"""Entries and their maximum."""


@dataclass(frozen=True, slots=True)
class Dump:
    """What was found inside one namespace.

    Attributes:
        conntrack: entries of nf_conntrack and their maximum; `None` without it.
        tcp: its sockets; `None` when this kernel cannot list them.
        udp: the same.
        listeners: TCP sockets that listen; `None` when this kernel cannot list them.
        unix: inodes, as far as the kernel lists them: it spares asking each descriptor for its protocol.
        pools: of the whole node, in the namespaces where they may be found.
    """

    time_wait_max: int | None = None
    conntrack: Conntrack | None = None
    tcp: TcpDump | None = None
    udp: Sockets | None = None
    listeners: list[diag.Listener] | None = None
    unix: set[int] = field(default_factory=set)
    pools: Pools = field(default_factory=Pools)

    @property
    def whole(self) -> bool:
        """Whether all its TCP and UDP sockets are known."""
        return self.tcp is not None and self.udp is not None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a namespace without entering it.

    Attributes:
        tcp: sockets in the hash tables that descriptors lead to.
        udp: sockets that descriptors lead to.
    """

    tcp: int
    udp: int
    time_wait_max: int | None

    def is_all(self, counter: Sockstat | None) -> bool:
        """Whether the namespace has no TCP socket but those."""
        return counter is not None and not counter.time_wait and counter.tcp == self.tcp

    def is_all_udp(self, counter: Sockstat | None) -> bool:
        """The same of UDP. Sockets that are not bound to a port are in no counter, so there may be more."""
        return counter is not None and counter.udp + counter.udplite <= self.udp


@dataclass(frozen=True, slots=True)
class Dumps:
    """All namespaces.

    Attributes:
        counters: sockstat by inode of the namespace; `None` where it could not be read.
        inside: what was found in those that were entered.
        pools: of the whole node, as the network sees them.
        cpu_seconds: spent on the thread that entered them.
    """

    counters: Mapping[int, Sockstat | None]
    inside: Mapping[int, Dump]
    gaps: tuple[Gap, ...]
    cpu_seconds: float
    pools: Pools = field(default_factory=Pools)

    @property
    def whole(self) -> frozenset[int]:
        """Namespaces whose sockets are all known."""
        return frozenset(inode for inode, dump in self.inside.items() if dump.whole)

    def netns(self) -> Iterator[Netns]:
        """Return them as facts. One that does not show its maximum of connections has the host's, as all have."""
        maximum = next(
            (dump.conntrack[1] for dump in self.inside.values() if dump.conntrack and dump.conntrack[1]), None
        )
        for inode, counter in sorted(self.counters.items()):
            dump = self.inside.get(inode, Dump())
            yield Netns(
                inode=inode,
                time_wait_buckets=counter.time_wait if counter else None,
                time_wait_max=dump.time_wait_max,
                tcp_in_use=counter.tcp if counter else None,
                conntrack=dump.conntrack[0] if dump.conntrack else None,
                conntrack_max=(dump.conntrack[1] or maximum) if dump.conntrack else None,
                dumped=dump.whole,
            )


def take(  # noqa: PLR0913, PLR0917 - all that is known of the network beforehand
    root: ProcRoot,
    rows: Iterable[Row],
    holdings: Holdings,
    losses: Losses,
    spare: Spare,
    seen: Mapping[int, Seen] = MappingProxyType({}),
) -> Dumps:
    """Look into every namespace that a process is in, unless all of its sockets are known already.

    Args:
        root: the tree the rows were read from.
        rows: all processes.
        holdings: what their descriptors refer to.
        losses: where failures are counted.
        spare: what earlier sweeps found, and what may be spent on reading again what did not change.
        seen: by inode, what is known already. Their sockets are left out of what is returned.
    """
    members = defaultdict(list)
    for row in rows:
        if row.netns is not None:
            members[row.netns].append(row)
    host = next((row.netns for row in rows if row.pid == 1), None)
    own = netns.own_inode()
    counters = _counters(root, members, losses)
    if not root.live:
        gap = Gap("netns-sockets", "sockets by state: this is a recorded tree, no kernel answers", len(counters))
        inside = {host: _recorded(root, losses)} if host is not None else {}
        return Dumps(counters, inside, (gap,) if counters else (), 0.0, _pools(inside, host, losses))
    doors = {
        inode: [f"{root.path}/{row.pid}/{row.task}ns/net" for row in members[inode][:_DOORS]] for inode in counters
    }
    daemons = members.get(host or own or 0, ())
    pinned = {inode: paths for inode, paths in _pinned(root, daemons).items() if inode not in members}

    prints = _remainders(seen, counters) if seen else _prints(members, counters, holdings)
    known = spare.memory.reusable(prints, spare.seconds, spare.patience)
    assumed = _assumed(seen, counters, known, spare)

    def look(inode: int) -> Dump:
        if inode in pinned:
            counters[inode] = losses.attempt("sockstat", lambda: _counters_here(root))
        return _look(
            root,
            counters[inode],
            losses,
            with_unix=bool(holdings.holders_of),
            with_pools=inode in (own, host),
            known=known.get(inode) or assumed.get(inode),
            seen=seen.get(inode),
        )

    spared = {
        inode: known.get(inode) or assumed.get(inode) or TcpDump(Sockets(), {})
        for inode in seen.keys() & counters.keys()
        if inode not in (own, host)
        and _is_known(seen[inode], counters[inode], has_dump=inode in known or inode in assumed)
    }
    entered = [(inode, paths) for inode, paths in (doors | pinned).items() if inode not in spared]
    visits, seconds = netns.visit(entered, look, own=own)
    left = {visit.inode for visit in visits if isinstance(visit.error, Gone)}
    inside = {visit.inode: visit.result for visit in visits if visit.result is not None}
    tracking = any(dump.conntrack for dump in inside.values())
    for inode, dump in spared.items():
        conntrack = _conntrack_from_outside(root, members[inode], losses) if tracking else None
        inside[inode] = Dump(seen[inode].time_wait_max, conntrack, dump, Sockets(), [])
    found, more_seconds = look_closer(_pools(inside, host, losses), doors, own)
    spare.memory.keep_namespaces(prints, {inode: dump.tcp for inode, dump in inside.items() if dump.tcp})
    ages = [dump.age for inode, dump in known.items() if inode in inside]
    return Dumps(
        counters={inode: counter for inode, counter in counters.items() if inode not in left},
        inside=inside,
        gaps=(
            *_gaps(visits, pinned),
            *stale("stale-sockets", "states and queues of TCP in namespaces whose counters did not move", ages),
            *_assumptions(assumed.keys() & inside.keys()),
            *_untracked(inside.get(host or 0)),
        ),
        cpu_seconds=seconds + more_seconds,
        pools=found,
    )


def _remainders(seen: Mapping[int, Seen], counters: Mapping[int, Sockstat | None]) -> dict[int, int]:
    """Give each namespace a number that changes when the sockets do that no descriptor leads to."""
    return {
        inode: hash((counter.tcp - seen[inode].tcp, counter.time_wait))
        for inode, counter in counters.items()
        if counter is not None and inode in seen
    }


def _assumed(
    seen: Mapping[int, Seen], counters: Mapping[int, Sockstat | None], known: Container[int], spare: Spare
) -> dict[int, TcpDump]:
    """Choose the namespaces where mini-sockets are all that is unknown, and telling them apart is not worth its cost."""
    if spare.seconds is None:
        return {}
    assumed, spent, each = {}, 0.0, spare.memory.usual_seconds()
    for inode, counter in counters.items():
        if counter is None or inode not in seen or inode in known or counter.tcp != seen[inode].tcp:
            continue
        if counter.time_wait and spent + each > spare.seconds:
            assumed[inode] = TcpDump.of_mini_sockets(counter.time_wait)
        elif counter.time_wait:
            spent += each
    return assumed


def _assumptions(inodes: Collection[int]) -> Iterator[Gap]:
    if inodes:
        detail = "network namespaces whose FIN_WAIT2 mini-sockets were counted as TIME_WAIT, to spare CPU"
        yield Gap("time-wait-detail", detail, len(inodes))


def _is_known(seen: Seen, counter: Sockstat | None, *, has_dump: bool) -> bool:
    """Whether nothing is left to look for inside."""
    tcp = has_dump or seen.is_all(counter)
    return tcp and seen.time_wait_max is not None and seen.is_all_udp(counter)


def _conntrack_from_outside(root: ProcRoot, rows: Iterable[Row], losses: Losses) -> Conntrack | None:
    """Read the entries through a member. The maximum is the same in all namespaces, and another shows it."""
    for row in rows:
        try:
            with root.process(row.pid) as process:
                return net_stat.read_entries(process, net_stat.CONNTRACK, row.task), None
        except (Gone, Absent):
            continue
        except (Denied, Malformed) as error:
            losses.count(_CONNTRACK, error, limits=["conntrack"])
            return None
    return None


def _pools(inside: Mapping[int, Dump], host: int | None, losses: Losses) -> Pools:
    """Choose the namespace that shows most of them. What is missing in the host's own is no limit of this node."""
    best = max((dump.pools for dump in inside.values()), key=lambda pools: len(pools.found), default=Pools())
    if host is not None and host in inside:
        if inside[host].conntrack is None:
            best += Pools(missing=frozenset({"conntrack"}))
        return best
    if best.missing:
        losses.count("sys/net of the host", Denied("1/ns/net"), limits=best.missing)
    return Pools(best.found)


def _counters(root: ProcRoot, members: Mapping[int, list[Row]], losses: Losses) -> dict[int, Sockstat | None]:
    """Read sockstat of each namespace through the first member that answers. A namespace all have left is left out."""
    counters: dict[int, Sockstat | None] = {}
    for inode, rows in members.items():
        for row in rows[:_DOORS]:
            try:
                with root.process(row.pid) as process:
                    counters[inode] = sockstat.read(process, row.task)
            except Gone:
                continue
            except (Absent, Denied, Malformed) as error:
                if root.live and isinstance(error, Absent):
                    continue  # it is ending
                losses.count("sockstat", error)
                counters[inode] = None
            break
    return counters


def _pinned(root: ProcRoot, rows: Iterable[Row]) -> dict[int, list[str]]:
    """Find the namespaces that a mount keeps alive, and the paths that may lead to them.

    Each mount namespace is read once, through the first of its processes. Where a process's root is out of reach, the
    same mount may be visible here; the inode number tells.

    Args:
        root: the tree.
        rows: processes that may have such mounts: container runtimes and their like, in the host's network namespace.
    """
    found: defaultdict[int, list[str]] = defaultdict(list)
    seen = set()
    for row in rows:
        try:
            with root.process(row.pid) as process:
                namespace = _mount_namespace(process)
                if namespace in seen:
                    continue
                seen.add(namespace)
                for inode, path in mountinfo.read_namespaces(process).items():
                    found[inode] += [f"{root.path}/{row.pid}/root{path}", path]
        except KernelError:
            continue
    return found


def _mount_namespace(process: ProcDirectory) -> str | None:
    """Return its name; `None` where it is refused: anybody may read the mounts, so those are read once as one."""
    try:
        return process.link("ns/mnt")
    except (Absent, Denied):
        return None


def _counters_here(root: ProcRoot) -> Sockstat:
    with root.top() as top:
        return sockstat.read_here(top)


def _prints(
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


def _look(  # noqa: PLR0913 - what is known beforehand
    root: ProcRoot,
    counter: Sockstat | None,
    losses: Losses,
    *,
    with_unix: bool,
    with_pools: bool,
    known: TcpDump | None = None,
    seen: Seen | None = None,
) -> Dump:
    """Read what only a thread inside the namespace sees. Runs there.

    A dump walks the sockets of the whole node, so it is spared where the counters show none, or none but the listeners.
    (Half-open connections are in no counter; of a namespace that has nothing else they are not seen.)
    """
    listeners: list[diag.Listener] | None = []
    if counter is None or counter.tcp:
        listeners = losses.attempt("listeners", diag.dump_listeners, "listen-backlog")
    if seen is not None and seen.is_all(counter):
        tcp: TcpDump | None = TcpDump(Sockets(), {})
    elif counter is not None and listeners is not None and not counter.time_wait and counter.tcp == len(listeners):
        tcp = TcpDump(Sockets.of((int(TcpState.LISTEN), one.inode, 0) for one in listeners), {})
    else:
        tcp = known or losses.attempt("tcp_diag", lambda: _tcp(listeners or ()))
    spare_udp = seen is not None and seen.is_all_udp(counter)
    udp = Sockets() if spare_udp else losses.attempt("udp_diag", lambda: _udp(counter))
    time_wait_max, conntrack, found = _sysctls(root, losses, "thread-self/" if with_pools else None)
    return Dump(time_wait_max, conntrack, tcp, udp, listeners, _unix() if with_unix else set(), found)


def _tcp(listeners: Iterable[diag.Listener]) -> TcpDump:
    began = time.thread_time()
    rows = diag.dump_tcp()
    ports = {one.port.to_bytes(2, "big"): one.port for one in listeners}
    sockets, connections = _sockets(rows), _connections(rows, ports)
    sockets.name_peers(_ends(rows, ports))
    return TcpDump(sockets, connections, time.thread_time() - began, time.monotonic())


def _udp(counter: Sockstat | None) -> Sockets:
    sockets = Sockets()
    if counter is None or counter.udp:
        sockets = _sockets(diag.dump_udp())
    if counter is not None and counter.udplite:
        sockets.extend(_sockets(diag.dump_udp(lite=True)))
    return sockets


def _sockets(rows: Iterable[diag.InetRow]) -> Sockets:
    """Keep what later stages ask for. The queues of a listener hold connections, not bytes."""
    return Sockets.of(
        (state, inode, 0 if state == TcpState.LISTEN else received + sent)
        for _, state, _, _, _, _, _, received, sent, inode in rows
    )


def _ends(rows: Iterable[diag.InetRow], listening: Container[bytes]) -> Iterator[End]:
    """Yield the other end of each: a server by address and port, a client by its address, for its port is any."""
    for family, _, port, peer, _, address, _, _, _, _ in rows:
        yield 0 if port in listening else int.from_bytes(peer, "big"), diag.short_address(family, address)


def _connections(rows: Iterable[diag.InetRow], ports: Mapping[bytes, int]) -> Counter[End]:
    """Count the established connections by their local end, where somebody listens."""
    return Counter(
        (ports[port], diag.short_address(family, address))
        for family, state, port, _, address, _, _, _, _, _ in rows
        if port in ports and state == TcpState.ESTABLISHED
    )


def _unix() -> set[int]:
    try:
        return diag.dump_unix()
    except (Absent, Denied, Malformed):
        return set()  # no loss: each descriptor is asked instead


def _sysctls(root: ProcRoot, losses: Losses, task: str | None) -> tuple[int | None, Conntrack | None, Pools]:
    """Read what /proc/sys/net says in the calling thread's namespace.

    Args:
        root: the tree.
        losses: where failures are counted.
        task: where the tree shows this namespace's /proc/net, if the pools of the node are wanted.
    """
    try:
        with root.top() as top:
            maximum = losses.attempt(_TIME_WAIT_MAX, lambda: sysctl.read_number(top, _TIME_WAIT_MAX))
            found = pools.read(root, top, pools.network(task), losses) if task else Pools()
            return maximum, _conntrack(root, top, losses), found
    except (Absent, Denied, Malformed) as error:  # out of descriptors ourselves
        losses.count("sys/net", error, limits=("time-wait", "conntrack", *pools.NETWORK))
        return None, None, Pools()


def _conntrack(root: ProcRoot, top: ProcDirectory, losses: Losses) -> Conntrack | None:
    """Read the entries and their maximum, which a namespace of another user namespace than the host's does not show."""
    try:
        return sysctl.read_number(top, _CONNTRACK), sysctl.read_number(top, _CONNTRACK_MAX)
    except (Absent, Denied, Malformed) as error:
        if root.live and isinstance(error, Absent):
            return _conntrack_without_sysctl(top, losses)
        losses.count(_CONNTRACK, error, limits=["conntrack"])
        return None


def _conntrack_without_sysctl(top: ProcDirectory, losses: Losses) -> tuple[int, None] | None:
    try:
        return net_stat.read_entries(top, net_stat.CONNTRACK, "thread-self/"), None
    except Absent:  # not loaded, so nothing is tracked
        return None
    except (Denied, Malformed) as error:
        losses.count(_CONNTRACK, error, limits=["conntrack"])
        return None


def _recorded(root: ProcRoot, losses: Losses) -> Dump:
    """Return what a recorded tree holds of the host's namespace: no socket, but the counters and maxima."""
    time_wait_max, conntrack, found = _sysctls(root, losses, "1/")
    return Dump(time_wait_max, conntrack, pools=found)


def _gaps(visits: Iterable[netns.Visit[Dump]], pinned: Container[int]) -> Iterator[Gap]:
    unseen = sum(visit.inode in pinned and visit.error is not None for visit in visits)
    if unseen:
        detail = (
            "network namespaces that only a mount keeps alive were not read: CAP_SYS_ADMIN and CAP_SYS_PTRACE show them"
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


def _untracked(host: Dump | None) -> Iterator[Gap]:
    """Say that an empty nf_conntrack is no sign of health: connections may be tracked elsewhere."""
    if host is not None and not (host.conntrack and host.conntrack[0]):
        detail = "nf_conntrack tracks nothing in the host's network namespace; what eBPF (Cilium) tracks does not show"
        yield Gap("conntrack-empty", detail)
