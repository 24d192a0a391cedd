"""What a thread reads inside one network namespace: sockets one by one, listeners, and what /proc/sys/net says there.

A dump walks the sockets of the whole node, so each is asked for only where a counter or the port range gives reason.
"""

import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.kernel import diag
from auditor.kernel.bpf.records import MUCH_QUEUED
from auditor.kernel.errors import Absent, Denied, Malformed
from auditor.kernel.procfs import net_stat, port_range, sysctl
from auditor.kernel.procfs.port_range import PortRange
from auditor.kernel.procfs.sockstat import Sockstat
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import Flows, Limit, PortUse, TcpState
from auditor.sweep import flows, pools, ports
from auditor.sweep.dumped import End, Sockets, TcpDump
from auditor.sweep.losses import Losses
from auditor.sweep.memory import Memory
from auditor.sweep.pools import Pools

_CONNTRACK, _SYSCTLS = "net/netfilter/nf_conntrack_count", "sys/net"
CONNTRACK_FILES = (_CONNTRACK, _SYSCTLS)
"""Kinds of files without which it is unknown whether connections are tracked."""

Conntrack = tuple[int, Limit]
"""Entries and their maximum."""


@dataclass(frozen=True, slots=True)
class Dump:
    """What was found inside one namespace.

    Attributes:
        conntrack: entries of nf_conntrack and their maximum; `None` without it.
        flows: tracked connections, where there are many.
        tcp: its sockets; `None` when this kernel cannot list them.
        udp: the same.
        listeners: TCP sockets that listen; `None` when this kernel cannot list them.
        unix_listeners: UNIX sockets that listen.
        dropping: UDP sockets that have dropped datagrams, each with how many.
        unix: inodes, as far as the kernel lists them: it spares asking each descriptor for its protocol.
        pools: of the whole node, in the namespaces where they may be found.
        range: its ephemeral ports.
        ports: what takes the most of them.
        half_open: whether half-open connections are known: there is no listener, or they were listed, or listeners tell.
    """

    time_wait_max: Limit = None
    conntrack: Conntrack | None = None
    flows: Flows | None = None
    tcp: TcpDump | None = None
    udp: Sockets | None = None
    listeners: list[diag.Listener] | None = None
    unix_listeners: list[diag.UnixListener] = field(default_factory=list)
    dropping: list[tuple[diag.InetRow, int]] = field(default_factory=list)
    unix: set[int] = field(default_factory=set)
    pools: Pools = field(default_factory=Pools)
    range: PortRange | None = None
    ports: tuple[PortUse, ...] = ()
    half_open: bool = False

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
        ports: first and last port of its range.
        own_ports: of the ranges that single sockets have.
    """

    tcp: int
    udp: int
    time_wait_max: Limit
    ports: tuple[int, int] | None = None
    own_ports: tuple[tuple[int, int], ...] = ()

    def is_all(self, counter: Sockstat | None) -> bool:
        """Whether the namespace has no TCP socket but those."""
        return counter is not None and not counter.time_wait and counter.tcp == self.tcp

    def is_all_udp(self, counter: Sockstat | None) -> bool:
        """The same of UDP. Sockets that are not bound to a port are in no counter, so there may be more."""
        return counter is not None and counter.udp + counter.udplite <= self.udp


class Sysctls(NamedTuple):
    """What /proc/sys/net says in a namespace."""

    time_wait_max: Limit = None
    conntrack: Conntrack | None = None
    pools: Pools = Pools()
    range: PortRange | None = None


def look(  # noqa: PLR0913 - what is known beforehand
    root: ProcRoot,
    netns: int,
    counter: Sockstat | None,
    losses: Losses,
    *,
    with_unix: bool,
    with_pools: bool,
    memory: Memory,
    known: TcpDump | None = None,
    seen: Seen | None = None,
) -> Dump:
    """Read what only a thread inside the namespace sees. Runs there.

    Sockets are not dumped where the counters show none, none but the listeners, or none but those that are `seen`.
    Half-open connections are in no counter: where there are listeners, only a dump shows them.
    """
    sysctls = _sysctls(root, losses, "thread-self/" if with_pools else None)
    if sysctls.range and seen and seen.own_ports:
        sysctls = sysctls._replace(range=sysctls.range.with_own(seen.own_ports))
    listeners: list[diag.Listener] | None = []
    if counter is None or counter.tcp:
        listeners = losses.attempt("listeners", diag.dump_listeners, "listen-backlog")
    near = sysctls.range is not None and (counter is None or reaches(counter, sysctls.range))
    all_seen = seen is not None and seen.is_all(counter)
    only_listen = (
        counter is not None and listeners is not None and not counter.time_wait and counter.tcp == len(listeners)
    )
    tcp: TcpDump | None
    if known is not None and (known.ports is not None if near else not (all_seen or only_listen)):
        tcp = known
    elif all_seen and not near:
        tcp = TcpDump(Sockets(), {})
    elif only_listen and not near:
        tcp = TcpDump(Sockets.of((int(TcpState.LISTEN), one.inode, 0) for one in listeners or ()), {})
    else:
        wanted = sysctls.range if near else None
        blind = ["ephemeral-ports"] if near else []
        tcp = losses.attempt("tcp_diag", lambda: _tcp(netns, listeners or (), wanted, without_sockets=all_seen), *blind)
    udp = _udp(netns, counter, losses, sysctls.range, seen)
    return Dump(
        sysctls.time_wait_max,
        sysctls.conntrack,
        flows.look(netns, memory, losses) if sysctls.conntrack and flows.near(*sysctls.conntrack) else None,
        tcp,
        udp.sockets,
        listeners,
        unix_listeners=(losses.attempt("unix_diag", diag.dump_unix_listeners) if seen is None else None) or [],
        dropping=udp.dropping,
        unix=_unix() if with_unix else set(),
        pools=sysctls.pools,
        range=sysctls.range,
        ports=(*_tcp_ports(netns, counter, tcp, sysctls.range), *udp.ports),
        half_open=listeners == [] or seen is not None or (tcp is not None and tcp.at is not None),
    )


def reaches(counter: Sockstat, range_: PortRange) -> bool:
    """Whether the TCP sockets of a namespace may take enough of its ports to look where they go."""
    return ports.reach(counter.tcp + counter.time_wait, range_)


def reaches_udp(counter: Sockstat, range_: PortRange) -> bool:
    """The same of UDP."""
    return ports.reach_udp(counter.udp, range_)


def unentered(  # noqa: PLR0913, PLR0917 - what is known
    netns: int, seen: Seen, counter: Sockstat, tcp: TcpDump, range_: PortRange, conntrack: Conntrack | None
) -> Dump:
    """Say of a namespace what is known without entering it."""
    used = _tcp_ports(netns, counter, tcp, range_)
    return Dump(seen.time_wait_max, conntrack, None, tcp, Sockets(), [], range=range_, ports=used, half_open=True)


def recorded(root: ProcRoot, netns: int, counter: Sockstat | None, losses: Losses) -> Dump:
    """Return what a recorded tree holds of the host's namespace: no socket, but the counters and maxima."""
    sysctls = _sysctls(root, losses, "1/")
    used = _tcp_ports(netns, counter, None, sysctls.range)
    return Dump(sysctls.time_wait_max, sysctls.conntrack, pools=sysctls.pools, range=sysctls.range, ports=tuple(used))


def conntrack_of(process: ProcDirectory, task: str, losses: Losses) -> Conntrack | None:
    """Read the entries of a process's namespace. The maximum is the same in all namespaces, and another shows it.

    Raises:
        Gone: the process ended.
    """
    try:
        return net_stat.read_entries(process, net_stat.CONNTRACK, task), None
    except Absent:
        return None
    except (Denied, Malformed) as error:
        losses.count(_CONNTRACK, error, limits=["conntrack"])
        return None


def _tcp_ports(
    netns: int, counter: Sockstat | None, tcp: TcpDump | None, range_: PortRange | None
) -> tuple[PortUse, ...]:
    if range_ is None:
        return ()
    if tcp is not None and tcp.ports is not None:
        return tcp.ports
    if counter is None or reaches(counter, range_):
        return ()  # nobody could look
    return (ports.bound(netns, counter.tcp + counter.time_wait, range_),)


def _tcp(netns: int, listeners: Iterable[diag.Listener], range_: PortRange | None, *, without_sockets: bool) -> TcpDump:
    """Dump all sockets.

    Args:
        netns: inode of the namespace.
        listeners: its sockets that listen.
        range_: its ephemeral ports, if it is asked where they went.
        without_sockets: each of them is known already; only the ports are asked for.
    """
    began = time.thread_time()
    rows = diag.dump_tcp()
    uses = None if range_ is None else ports.of_tcp(netns, rows, range_)
    if without_sockets:
        return TcpDump(Sockets(), {}, time.thread_time() - began, time.monotonic(), uses)
    listening = {one.port.to_bytes(2, "big"): one.port for one in listeners}
    sockets, connections = _sockets(rows), _connections(rows, listening)
    sockets.name_peers(_ends(rows, listening))
    queueing = tuple(row for row in rows if row[8] + row[9] >= MUCH_QUEUED and row[1] != TcpState.LISTEN)
    return TcpDump(sockets, connections, time.thread_time() - began, time.monotonic(), uses, queueing)


class _Udp(NamedTuple):
    """What a dump of UDP tells; sockets `None` where the kernel lists none."""

    sockets: Sockets | None
    ports: tuple[PortUse, ...] = ()
    dropping: list[tuple[diag.InetRow, int]] = []  # noqa: RUF012 - never changed


def _udp(netns: int, counter: Sockstat | None, losses: Losses, range_: PortRange | None, seen: Seen | None) -> _Udp:
    near = range_ is not None and (counter is None or reaches_udp(counter, range_))
    all_seen = seen is not None and seen.is_all_udp(counter)
    if all_seen and not near:
        return _Udp(Sockets())
    rows: list[tuple[diag.InetRow, int | None]] | None = []
    if counter is None or counter.udp:
        rows = losses.attempt("udp_diag", diag.dump_udp, *(["ephemeral-ports"] if near else []))
    if rows is None:
        return _Udp(None)
    uses = ports.of_udp(netns, (row for row, _ in rows), range_) if near and range_ is not None else ()
    if all_seen:
        return _Udp(Sockets(), uses)
    sockets = _sockets(row for row, _ in rows)
    dropping = [(row, drops) for row, drops in rows if drops and seen is None]
    if counter is not None and counter.udplite:
        lite = losses.attempt("udp_diag", lambda: diag.dump_udp(lite=True))
        if lite is None:
            return _Udp(None, uses, dropping)
        sockets.extend(_sockets(row for row, _ in lite))
    return _Udp(sockets, uses, dropping)


def _sockets(rows: Iterable[diag.InetRow]) -> Sockets:
    """Keep what later stages ask for. The queues of a listener hold connections, not bytes."""
    return Sockets.of(
        (state, inode, 0 if state == TcpState.LISTEN else received + sent)
        for _, state, _, _, _, _, _, _, received, sent, inode in rows
    )


def _ends(rows: Iterable[diag.InetRow], listening: Container[bytes]) -> Iterator[End]:
    """Yield the other end of each: a server by address and port, a client by its address, for its port is any."""
    for family, _, port, peer, _, address, _, _, _, _, _ in rows:
        yield 0 if port in listening else int.from_bytes(peer, "big"), diag.short_address(family, address)


def _connections(rows: Iterable[diag.InetRow], ports: Mapping[bytes, int]) -> Counter[End]:
    """Count the established connections by their local end, where somebody listens."""
    return Counter(
        (ports[port], diag.short_address(family, address))
        for family, state, port, _, address, _, _, _, _, _, _ in rows
        if port in ports and state == TcpState.ESTABLISHED
    )


def _unix() -> set[int]:
    try:
        return diag.dump_unix()
    except (Absent, Denied, Malformed):
        return set()  # no loss: each descriptor is asked instead


def _sysctls(root: ProcRoot, losses: Losses, task: str | None) -> Sysctls:
    """Read what /proc/sys/net says in the calling thread's namespace.

    Args:
        root: the tree.
        losses: where failures are counted.
        task: where the tree shows this namespace's /proc/net, if the pools of the node are wanted.
    """
    try:
        with root.top() as top:
            time_wait_max = losses.attempt(sysctl.TIME_WAIT_MAX, lambda: sysctl.read_time_wait_max(top))
            return Sysctls(
                time_wait_max,
                _conntrack(root, top, losses, recorded=time_wait_max is not None),
                pools.read(root, top, pools.network(task), losses) if task else Pools(),
                losses.attempt(port_range.RANGE, lambda: port_range.read(top)),
            )
    except (Absent, Denied, Malformed) as error:  # out of descriptors ourselves
        losses.count(_SYSCTLS, error, limits=("time-wait", "conntrack", "ephemeral-ports", *pools.NETWORK))
        return Sysctls()


def _conntrack(root: ProcRoot, top: ProcDirectory, losses: Losses, *, recorded: bool = False) -> Conntrack | None:
    """Read the entries and their maximum, which a namespace of another user namespace than the host's does not show.

    Of a recorded tree that has other sysctls of the namespace, what is absent was not loaded. A capture from within
    another namespace has none.
    """
    maximum = None
    try:
        maximum = sysctl.read_conntrack_max(top)
        return sysctl.read_number(top, _CONNTRACK), maximum
    except (Absent, Denied, Malformed) as error:
        if isinstance(error, Absent) and root.live:
            return _conntrack_without_sysctl(top, losses)
        if isinstance(error, Absent) and recorded and maximum is None:
            return None
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
