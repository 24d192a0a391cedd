"""What earlier sweeps read that the kernel's counters say may still hold.

A table of as many descriptors as before, or a namespace of as many sockets held by the same descriptors, is read anew as
far as the CPU budget allows, the oldest first. The rest is taken from here, and a gap tells how old it is.
"""

import time
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from auditor.kernel.procfs.fd import Listing
from auditor.kernel.procfs.port_range import PortRange
from auditor.model import Flows, Gap
from auditor.sweep.dumped import TcpDump

MAXIMUM_LINKS = 50_000
"""Descriptors other than sockets that are remembered: each holds a string."""

_LEAST_SHARE = 0.1  # of the unchanged namespaces are listed anew whatever the budget says: all within ten sweeps or so

_REST = 200  # times what a dump cost, so that one namespace takes half a percent of a core at most

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Table:
    start: int
    listing: Listing
    at: float


@dataclass(frozen=True, slots=True)
class _Namespace:
    print: int
    dump: TcpDump

    @property
    def rests(self) -> bool:
        return self.dump.ports is not None and self.dump.age < _REST * self.dump.seconds


MountNamespace = int | str | None
"""Its inode, or its name; `None` for all that refuse to be named."""


class CgroupMount(NamedTuple):
    """Where cgroups are mounted.

    Attributes:
        pid: who has them mounted there.
        point: seen from its root.
        top: which cgroup is on top there.
        device: of the file system.
        at: when this was looked for, in seconds of the monotonic clock.
    """

    pid: int
    point: str
    top: str
    device: int
    at: float


@dataclass(slots=True)
class Memory:
    """Carried from sweep to sweep. Holds numbers and words, nothing that would keep a process or a namespace alive.

    Attributes:
        tracks: whether connections are tracked at all.
        tracking: namespaces that track many of them.
        untracked: namespaces that tracked none when they were asked, and when that was. There is no packet filter that
            would, and it comes with a pod, not with time.
        without_pins: mount namespaces whose mounts kept no network namespace alive when they were asked, and when that was.
        cgroup_mount: through which limits of cgroups were read.
        unlimited: cgroups that may have any number of tasks, and when they said so.
        flows: by namespace, when its tracked connections were sampled, and what they are.
        ranges: ephemeral ports of the namespaces that were entered.
    """

    _tables: dict[int, _Table] = field(default_factory=dict)
    _namespaces: dict[int, _Namespace] = field(default_factory=dict)
    _links: int = 0
    flows: dict[int, tuple[float, Flows]] = field(default_factory=dict)
    tracks: bool = False
    tracking: frozenset[int] = frozenset()
    untracked: Mapping[int, float] = field(default_factory=dict)
    without_pins: Mapping[MountNamespace, float] = field(default_factory=dict)
    cgroup_mount: CgroupMount | None = None
    unlimited: Mapping[str, float] = field(default_factory=dict)
    ranges: dict[int, PortRange] = field(default_factory=dict)

    def remember_tracking(self, inodes: Iterable[int]) -> None:
        """Remember which namespaces track so many connections that they are worth a look, and forget the others."""
        self.tracking = frozenset(inodes)
        self.flows = {inode: known for inode, known in self.flows.items() if inode in self.tracking}

    def table(self, pid: int, start: int, fds: int | None) -> Listing | None:
        """Return what a process's table held, if it is the same process and has as many descriptors."""
        known = self._tables.get(pid)
        return known.listing if known and (known.start, known.listing.size) == (start, fds) else None

    def table_age(self, pid: int) -> float:
        """Return the seconds since a remembered table was read."""
        return time.monotonic() - self._tables[pid].at

    def keep_table(self, pid: int, start: int, listing: Listing) -> None:
        """Remember a table that was read just now, while there is room."""
        self._forget(pid)
        if self._links + len(listing.others) <= MAXIMUM_LINKS:
            self._links += len(listing.others)
            self._tables[pid] = _Table(start, listing, time.monotonic())

    def keep_only(self, pids: Collection[int]) -> None:
        """Forget processes that ended."""
        for pid in self._tables.keys() - pids:
            self._forget(pid)

    def reusable(self, prints: Mapping[int, int], seconds: float | None, patience: float = 0.0) -> dict[int, TcpDump]:
        """Choose the namespaces that need no dump this time.

        One whose ports are watched changes all the time: it rests in proportion to what its dump costs.

        Args:
            prints: by inode, a number that changes when the namespace's counters or its descriptors do.
            seconds: of CPU that dumps of unchanged namespaces may take; `None` for no bound.
            patience: seconds for which an unchanged one need not be dumped again.
        """
        if seconds is None:
            return {}
        unchanged = {
            inode: known.dump
            for inode, known in self._namespaces.items()
            if inode in prints and (known.print == prints[inode] or known.rests)
        }
        seconds = max(seconds, _LEAST_SHARE * sum(dump.seconds for dump in unchanged.values()))
        spent = 0.0
        for inode, dump in sorted(unchanged.items(), key=lambda item: item[1].age, reverse=True):
            if dump.age < patience or (spent and spent + dump.seconds > seconds):
                break
            spent += dump.seconds
            del unchanged[inode]
        return unchanged

    def keep_namespaces(self, prints: Mapping[int, int], dumps: Mapping[int, TcpDump]) -> None:
        """Remember what was found this time, old or new, and forget everything else."""
        self._namespaces = {
            inode: _Namespace(prints[inode], dump)
            for inode, dump in dumps.items()
            if inode in prints and dump.at is not None
        }

    def usual_seconds(self) -> float:
        """Return the CPU seconds that a dump takes: each walks the sockets of the whole node."""
        return max((known.dump.seconds for known in self._namespaces.values()), default=0.0)

    def _forget(self, pid: int) -> None:
        known = self._tables.pop(pid, None)
        if known:
            self._links -= len(known.listing.others)


@dataclass(frozen=True, slots=True)
class Spare:
    """How much of what did not change is read again.

    Attributes:
        seconds: of CPU that dumps of unchanged namespaces may take; `None` for no bound.
        patience: seconds for which an unchanged one need not be dumped again.
        egress: it matters where each connection went, also of those in TIME_WAIT.
    """

    memory: Memory
    seconds: float | None
    patience: float = 0.0
    egress: bool = False

    def rests(self, at: float) -> bool:
        """Whether what was asked then need not be asked again."""
        return self.seconds is not None and time.monotonic() - at < self.patience

    def resting(self, known: Mapping[K, float], among: Iterable[K]) -> dict[K, float]:
        """Choose what had nothing to tell so recently that it need not be asked again, with when that was.

        Args:
            known: all that had nothing to tell, and when, in seconds of the monotonic clock.
            among: what might be asked.
        """
        return {one: known[one] for one in among if one in known and self.rests(known[one])}


def stale(name: str, what: str, ages: Collection[float]) -> Iterator[Gap]:
    """Say what was not read anew, and how old it is."""
    if ages:
        minutes = int(max(ages) // 60) + 1
        yield Gap(name, f"{what} were not read anew, to spare CPU: up to {minutes} min old", len(ages))
