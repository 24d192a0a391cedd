"""What each network namespace shows of itself: its counters, and its sockets one by one where it can be entered."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from auditor.kernel import diag, netns
from auditor.kernel.errors import Absent, Denied, Gone, KernelError, Malformed
from auditor.kernel.procfs import mountinfo, sockstat, sysctl
from auditor.kernel.procfs.sockstat import Sockstat
from auditor.kernel.root import ProcRoot
from auditor.model import Gap, Netns
from auditor.sweep.losses import Losses
from auditor.sweep.processes import Row

_DOORS = 4  # members of a namespace through which it is tried to be read or entered
_TIME_WAIT_MAX = "net/ipv4/tcp_max_tw_buckets"


@dataclass(frozen=True, slots=True)
class Dump:
    """What was found inside one namespace.

    Attributes:
        tcp: (state, inode) of each socket; `None` when this kernel cannot list them.
        udp: the same.
        unix: inodes, as far as the kernel lists them: it spares asking each descriptor for its protocol.
    """

    time_wait_max: int | None = None
    tcp: list[tuple[int, int]] | None = None
    udp: list[tuple[int, int]] | None = None
    unix: set[int] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether all its TCP and UDP sockets are known."""
        return self.tcp is not None and self.udp is not None


@dataclass(frozen=True, slots=True)
class Dumps:
    """All namespaces.

    Attributes:
        counters: sockstat by inode of the namespace; `None` where it could not be read.
        inside: what was found in those that were entered.
        cpu_seconds: spent on the thread that entered them.
    """

    counters: Mapping[int, Sockstat | None]
    inside: Mapping[int, Dump]
    gaps: tuple[Gap, ...]
    cpu_seconds: float

    @property
    def whole(self) -> frozenset[int]:
        """Namespaces whose sockets are all known."""
        return frozenset(inode for inode, dump in self.inside.items() if dump.whole)

    def netns(self) -> Iterator[Netns]:
        """Return them as facts."""
        for inode, counter in sorted(self.counters.items()):
            dump = self.inside.get(inode, Dump())
            yield Netns(
                inode=inode,
                time_wait_buckets=counter.time_wait if counter else None,
                time_wait_max=dump.time_wait_max,
                tcp_in_use=counter.tcp if counter else None,
                dumped=dump.whole,
            )


def take(root: ProcRoot, rows: Iterable[Row], losses: Losses, *, with_unix: bool) -> Dumps:
    """Look into every namespace that a process is in.

    Args:
        root: the tree the rows were read from.
        rows: all processes.
        losses: where failures are counted.
        with_unix: list UNIX sockets as well.
    """
    members = defaultdict(list)
    for row in rows:
        if row.netns is not None:
            members[row.netns].append(row)
    counters = _counters(root, members, losses)
    if not root.live:
        gap = Gap("netns-sockets", "sockets by state: this is a recorded tree, no kernel answers", len(counters))
        return Dumps(counters, _recorded(root, members, losses), (gap,) if counters else (), 0.0)
    doors = {
        inode: [f"{root.path}/{row.pid}/{row.task}ns/net" for row in members[inode][:_DOORS]] for inode in counters
    }
    pinned = {inode: paths for inode, paths in _pinned(root).items() if inode not in members}

    def look(inode: int) -> Dump:
        if inode in pinned:
            counters[inode] = losses.attempt("sockstat", lambda: _counters_here(root))
        return _look(root, counters[inode], losses, with_unix=with_unix)

    visits, seconds = netns.visit([*doors.items(), *pinned.items()], look, own=netns.own_inode())
    left = {visit.inode for visit in visits if isinstance(visit.error, Gone)}
    return Dumps(
        counters={inode: counter for inode, counter in counters.items() if inode not in left},
        inside={visit.inode: visit.result for visit in visits if visit.result is not None},
        gaps=tuple(_gaps(visits, pinned)),
        cpu_seconds=seconds,
    )


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


def _pinned(root: ProcRoot) -> dict[int, list[str]]:
    """Find the namespaces that a mount keeps alive, and the paths that may lead to them.

    Where process 1's root is out of reach, the same mount may be visible here; the inode number tells.
    """
    try:
        with root.process(1) as process:
            mounts = mountinfo.read_namespaces(process)
    except KernelError:
        return {}
    return {inode: [f"{root.path}/1/root{path}", path] for inode, path in mounts.items()}


def _counters_here(root: ProcRoot) -> Sockstat:
    with root.top() as top:
        return sockstat.read_here(top)


def _look(root: ProcRoot, counter: Sockstat | None, losses: Losses, *, with_unix: bool) -> Dump:
    """Read what only a thread inside the namespace sees. Runs there.

    A dump walks the sockets of the whole node, so it is spared where the counters show none.
    """
    tcp: list[tuple[int, int]] | None = []
    udp: list[tuple[int, int]] | None = []
    if counter is None or counter.tcp or counter.time_wait:
        tcp = losses.attempt("tcp_diag", diag.dump_tcp)
    if counter is None or counter.udp:
        udp = losses.attempt("udp_diag", diag.dump_udp)
    if udp is not None and counter is not None and counter.udplite:
        lite = losses.attempt("udp_diag", lambda: diag.dump_udp(lite=True))
        udp = None if lite is None else udp + lite
    return Dump(_time_wait_max(root, losses), tcp, udp, _unix() if with_unix else set())


def _unix() -> set[int]:
    try:
        return diag.dump_unix()
    except (Absent, Denied, Malformed):
        return set()  # no loss: each descriptor is asked instead


def _time_wait_max(root: ProcRoot, losses: Losses) -> int | None:
    def read() -> int:
        with root.top() as top:
            return sysctl.read_number(top, _TIME_WAIT_MAX)

    return losses.attempt(_TIME_WAIT_MAX, read)


def _recorded(root: ProcRoot, members: Mapping[int, list[Row]], losses: Losses) -> dict[int, Dump]:
    """Return what a recorded tree holds: the maximum of one namespace, the host's."""
    return {
        inode: Dump(_time_wait_max(root, losses))
        for inode, rows in members.items()
        if any(row.pid == 1 for row in rows)
    }


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
    yield Gap("netns-sockets", detail, len(errors), frozenset({"time-wait"}))
