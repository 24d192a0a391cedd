"""The processes, as the iterator over tasks shows them, and from /proc what it does not show."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType

from auditor.kernel.bpf import records
from auditor.kernel.bpf.descriptors import Descriptors
from auditor.kernel.bpf.layout import figures
from auditor.kernel.bpf.records import Task
from auditor.kernel.errors import Absent, Denied, Gone, KernelError, Malformed
from auditor.kernel.procfs import cgroup, stat
from auditor.kernel.root import ProcRoot
from auditor.model import UNLIMITED, Gap, Kind
from auditor.sweep import processes
from auditor.sweep.bpf.memory import Entry
from auditor.sweep.losses import Losses
from auditor.sweep.processes import Cgroups, Row

_INFINITE = (1 << 64) - 1
_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Table:
    """The processes.

    Attributes:
        by_pid: rows by process id.
        keepers: by the task that a record of descriptors names, the row that counts its table.
        before: of an earlier sweep, by process id.
        entered: what the next sweep need not make anew.
        filled: pids that only /proc showed.
        time_wait_max: by namespace.
        ports: first and last ephemeral port, by namespace.
    """

    root: ProcRoot
    losses: Losses
    before: Mapping[int, Entry] = field(default_factory=dict)
    by_pid: dict[int, Row] = field(default_factory=dict)
    keepers: dict[int, Row] = field(default_factory=dict)
    filled: set[int] = field(default_factory=set)
    time_wait_max: dict[int, int] = field(default_factory=dict)
    ports: dict[int, tuple[int, int]] = field(default_factory=dict)
    entered: dict[int, Entry] = field(default_factory=dict)
    _places: dict[int, Cgroups] = field(default_factory=dict)
    _shown: set[int] = field(default_factory=set)
    _other_tables: set[int] = field(default_factory=set)
    _unlearnt: Mapping[Kind, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """All of them, by process id."""
        return [self.by_pid[pid] for pid in sorted(self.by_pid)]

    def enter(self, found: Iterable[Task]) -> None:
        """Take over who there is. May be called again: with those that began since, and threads that outlive their leader."""
        # Those of the same cgroups show each other where they are: first who is known, last who is ending.
        new = sorted([task for task in self._answering(found) if not self._is_known(task)], key=_is_ending)
        known = [self._as_before(task) for task in new]
        for task, before in zip(new, known, strict=True):
            entry = before or self._made_of(task)
            self.entered[task.number] = entry
            self.by_pid[task.number] = entry.row
            if task.netns not in self.ports:
                self._learn(task)

    def count(self, seen: Descriptors) -> None:
        """Fill in what the pass over the descriptors saw. Who has ended since is taken out."""
        keepers: dict[int, Row] = {}
        for task, row in self.entered.values():
            if row.kernel_thread:
                continue
            counted = seen.sums.get(task.pid)
            if counted is None and task.files and not self._is_there(row):
                self.losses.vanished += 1
                del self.by_pid[row.pid]
                continue
            keeper = keepers.setdefault(task.files, row) if task.files else row
            if keeper is not row:
                row.table_pid, row.fds, row.kinds = keeper.pid, None, None
                continue
            self.keepers[task.pid] = row
            row.fds = counted.fds if counted else 0
            row.kinds = _kinds(counted.kinds) if counted else {}
            if seen.unlearnt and Kind.OTHER in row.kinds:
                row.kinds = None
        self._unlearnt = seen.unlearnt
        self.losses.vanished += len(seen.sums.keys() - self._shown)

    def task_of(self, pid: int) -> int | None:
        """Return the task that answers for a process; `None` where none does."""
        entry = self.entered.get(pid)
        return entry.task.pid if entry else None

    def has_all_of(self, seen: Descriptors) -> bool:
        """Whether every task that showed descriptors is known."""
        return seen.sums.keys() <= self._shown

    def _is_known(self, task: Task) -> bool:
        entry = self.entered.get(task.number)
        return entry is not None and (entry.task.pid, entry.task.start) == (task.pid, task.start)

    def _as_before(self, task: Task) -> Entry | None:
        """Return what was made of a task that says just what it said before, without what was counted."""
        entry = self.before.get(task.number)
        if entry is None or entry.task is not task:
            return None
        row = entry.row
        if not row.kernel_thread:
            if not _is_placed(entry):
                return None
            self._places[task.cgroups] = row.cgroups
            row.begin_anew()
        return entry

    def _made_of(self, task: Task) -> Entry:
        if task.flags & records.KTHREAD:
            return Entry(task, _kernel_thread(task))
        row = _row(task)
        row.cgroups = self._places.get(task.cgroups) or self._cgroups_before(task) or self._read_cgroups(row)
        entry = Entry(task, row)
        if _is_placed(entry):
            self._places[task.cgroups] = row.cgroups
        return entry

    def _cgroups_before(self, task: Task) -> Cgroups:
        entry = self.before.get(task.number)
        if entry is None or (entry.task.start, entry.task.cgroups) != (task.start, task.cgroups):
            return ()
        return entry.row.cgroups if _is_placed(entry) else ()

    def _read_cgroups(self, row: Row) -> Cgroups:
        """Read where it is."""
        try:
            with self.root.process(row.pid) as process:
                return cgroup.parse(cgroup.read(process, row.task))
        except Gone:
            return ()  # another of the same cgroups may tell
        except (Absent, Denied, Malformed) as error:
            self.losses.count("cgroup", error)
            return ()

    def _learn(self, task: Task) -> None:
        """Take over what it says of its network namespace."""
        if not task.netns:
            return
        if task.flags & records.WITH_TIME_WAIT:
            self.time_wait_max[task.netns] = task.time_wait_max
        if task.ports_high:
            self.ports[task.netns] = (task.ports_low, task.ports_high)

    def _answering(self, found: Iterable[Task]) -> Iterator[Task]:
        """Choose one task for each process: the leader, or a thread that outlives it. Oldest first, then by number."""
        chosen: dict[int, Task] = {}
        oldest_first = sorted(found, key=_by_age)
        self._shown.update([task.pid for task in oldest_first])
        for task in oldest_first:
            other = chosen.setdefault(task.tgid, task)
            if other is task:
                continue
            if task.files and not other.files:
                chosen[task.tgid] = task
            elif task.files and task.files != other.files:
                self._other_tables.add(task.pid)
        yield from chosen.values()

    def _is_there(self, row: Row) -> bool:
        try:
            with self.root.process(row.pid) as process:
                return stat.read(process).start == row.start
        except KernelError:
            return False

    def fill_in(self, listed: Iterable[int]) -> list[Row]:
        """Read from /proc what is listed there only."""
        reader = processes.Reader(self.root, self.losses)
        filled = []
        for pid in listed:
            if pid in self.by_pid:
                continue
            try:
                with self.root.process(pid) as process:
                    row = reader.row(pid, process)
            except Denied as error:
                self.losses.count("process", error, pid)
            except KernelError as error:
                self.losses.count("stat", error, pid)
            else:
                self.by_pid[pid] = row
                self.filled.add(pid)
                filled.append(row)
        return filled

    def forget(self, pids: Iterable[int]) -> None:
        """Take out processes that ended meanwhile."""
        for pid in list(pids):
            self.filled.discard(pid)
            del self.by_pid[pid]

    def gaps(self) -> Iterator[Gap]:
        """Say what was read another way, and what was not read."""
        if self.filled:
            yield Gap("filled-in", "by BPF iterators: processes that were read from /proc instead", len(self.filled))
        if self._unlearnt:
            kinds = ", ".join(f"{kind.value} ({why})" for kind, why in sorted(self._unlearnt.items()))
            unknown = sum(row.kinds is None for row in self.keepers.values())
            yield Gap("unlearnt-kinds", f"by BPF iterators: none could be opened to learn what tells {kinds}", unknown)
        if self._other_tables:
            detail = "threads with a descriptor table of their own: what it holds is counted nowhere"
            yield Gap("thread-tables", detail, len(self._other_tables))


_by_age = attrgetter("start", "number", "flags", "pid")  # of one process the leader is first: `THREAD` is not set


def _is_ending(task: Task) -> int:
    return task.flags & records.EXITING


def _is_placed(entry: Entry) -> bool:
    """Whether it is known where the process is. Under v1 one that is ending shows `/`, but not a thread that outlives it."""
    return bool(entry.row.cgroups and (entry.row.task or not _is_ending(entry.task)))


def _kernel_thread(task: Task) -> Row:
    return Row(
        task.number,
        task.start // _TICK,
        _command(task.command),
        task.threads,
        kernel_thread=True,
        task_id=task.thread,
        fds=0,
        table_pid=task.number,
        kinds={},
    )


def _row(task: Task) -> Row:
    number, soft, hard = task.number, task.soft, task.hard
    row = Row(number, task.start // _TICK, _command(task.command), task.threads, False)  # noqa: FBT003 - by position: there are many
    if task.flags & records.THREAD:
        row.task = f"task/{task.thread}/"
    row.task_id, row.table_pid = task.thread, number
    row.uid, row.netns, row.mounts = task.euid, task.netns or None, task.mounts
    row.soft_limit = UNLIMITED if soft == _INFINITE else soft
    row.hard_limit = UNLIMITED if hard == _INFINITE else hard
    return row


@lru_cache(maxsize=2048)
def _kinds(packed: bytes) -> Mapping[Kind, int]:
    """Return how many of each kind there are. Most processes hold what they held before, and many the same as others."""
    return MappingProxyType(
        {kind: number for kind, number in zip(records.KINDS, figures(packed), strict=True) if number}
    )


@lru_cache(maxsize=2048)
def _command(name: bytes) -> str:
    return stat.command(name.split(b"\0", 1)[0])
