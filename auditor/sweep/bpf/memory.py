"""What earlier sweeps by BPF iterators made of what the programs still say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.kernel.bpf.records import Held, PortKey, Sums, Task
from auditor.model import Listener, SocketGroup
from auditor.sweep import memory
from auditor.sweep.processes import Row

Watcher = tuple[int, int, int]
"""An inotify or epoll instance: a process that holds it, when that began, and by which descriptor."""


class Entry(NamedTuple):
    """A process as BPF shows it: the task that answers for it, and what was made of that."""

    task: Task
    row: Row


class Summed(NamedTuple):
    """What the programs summed of a process, and what was made of that."""

    sums: Sums
    pid: int
    groups: tuple[SocketGroup, ...]


class Heard(NamedTuple):
    """One socket that listens alone at its port, who holds it, how many connections it has, and what was made of that."""

    held: Held
    holders: tuple[int, ...]
    connections: int | None
    listener: Listener


@dataclass(frozen=True, slots=True)
class Watches:
    """Watches of one budget.

    Attributes:
        total: as the kernel counts them.
        of: each instance that is charged to it.
        at: when they were counted one by one, in seconds of the monotonic clock.
    """

    total: int
    of: Mapping[Watcher, int]
    at: float


@dataclass(slots=True)
class Memory(memory.Memory):
    """What these sweeps remember besides what any sweep does.

    Attributes:
        ports: that were listened on, by namespace and family; `None` before the first sweep that learns them.
        epolls: whether each epoll instance is asked for.
        entries: processes by id.
        summed: their sockets, by task.
        heard: TCP listeners that are alone at their port, by description.
        unowned: by namespace, when its dump was taken and which sockets of it no descriptor led to then.
        watching: by what is watched with and whose budget it is, what was counted.
    """

    ports: frozenset[PortKey] | None = None
    epolls: bool = False
    entries: Mapping[int, Entry] = field(default_factory=dict)
    summed: Mapping[int, Summed] = field(default_factory=dict)
    heard: Mapping[int, Heard] = field(default_factory=dict)
    unowned: dict[int, tuple[float, tuple[SocketGroup, ...]]] = field(default_factory=dict)
    watching: Mapping[tuple[bytes, int], Watches] = field(default_factory=dict)
