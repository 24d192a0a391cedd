"""Who is there: one row per process, read through a directory pinned to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from auditor.kernel.errors import Absent, Denied, Gone, KernelError, Malformed
from auditor.kernel.procfs import cgroup, fd, limits, ns, stat, status
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import Kind, Limit, Process
from auditor.sweep.losses import Losses

T = TypeVar("T")
Cgroups = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Row:
    """A process while it is being swept; the later rooms fill in what they find.

    Attributes:
        task: `task/TID/` of the thread that answers for a leader that ended; empty otherwise.
        task_id: the thread to name in calls that take one.
        netns_refused: the kernel would not say which network namespace it is in.
        mounts: inode of its mount namespace; 0 where nobody asked.
    """

    pid: int
    start: int
    command: str
    threads: int
    kernel_thread: bool = False
    task: str = ""
    task_id: int = 0
    uid: int | None = None
    cgroups: Cgroups = ()
    netns: int | None = None
    netns_refused: bool = False
    soft_limit: Limit = None
    hard_limit: Limit = None
    fds: int | None = None
    table_pid: int = 0
    kinds: Mapping[Kind, int] | None = None
    private_descriptions: int | None = None
    mounts: int = 0

    @property
    def owns_table(self) -> bool:
        """Whether its descriptor table is counted here."""
        return self.table_pid == self.pid

    def begin_anew(self) -> None:
        """Forget what was counted, and keep who it is."""
        self.fds = self.kinds = self.private_descriptions = None
        self.table_pid = self.pid

    def process(self) -> Process:
        """Return the row as a fact."""
        return Process(
            self.pid,
            self.start,
            self.command,
            self.kernel_thread,
            self.uid,
            self.threads,
            self.cgroups,
            self.netns,
            self.soft_limit,
            self.hard_limit,
            self.fds,
            self.table_pid,
            self.kinds,
            self.private_descriptions,
        )


def take(root: ProcRoot, losses: Losses) -> list[Row]:
    """Read every process. Those that end meanwhile, or cannot even be named, are counted as losses."""
    reader = Reader(root, losses)
    rows = []
    for pid in root.pids():
        try:
            with root.process(pid) as process:
                rows.append(reader.row(pid, process))
        except Denied as error:
            losses.count("process", error, pid)
        except KernelError as error:
            losses.count("stat", error, pid)
    return rows


class Reader:
    """Reads processes one by one, remembering what many of them share."""

    def __init__(self, root: ProcRoot, losses: Losses) -> None:
        self._losses = losses
        self._by_size = fd.size_is_count(root)
        self._cgroups: dict[bytes, Cgroups] = {}

    def row(self, pid: int, process: ProcDirectory) -> Row:
        """Read one process through a directory pinned to it. Raises as `ProcDirectory` does."""
        who = stat.read(process)
        row = Row(pid, who.start, who.command, who.threads, table_pid=pid, task_id=pid)
        if who.kernel_thread:
            row.kernel_thread = True
            row.fds, row.kinds = 0, {}
            return row
        if who.zombie and who.threads > 1:
            row.task_id = _living_thread(pid, process)
            row.task = f"task/{row.task_id}/"
        pinned = Pinned(process, self._losses, pid)
        row.uid = pinned.figure("status", status.read_effective_uid)
        row.cgroups = pinned.figure("cgroup", lambda process: self._cgroup(process, row.task)) or ()
        row.soft_limit, row.hard_limit = pinned.figure("limits", limits.read_open_files) or (None, None)
        if who.zombie and not row.task:
            row.fds = 0  # a dead process has given its descriptors and namespaces back
        else:
            try:
                row.netns = pinned.figure("netns", lambda process: ns.read_net(process, row.task), refusable=True)
            except Denied:
                row.netns_refused = True  # there is another way to learn it
            row.fds = pinned.figure("fd", lambda process: fd.read_count(process, row.task, by_size=self._by_size))
        if row.fds == 0:
            row.kinds = {}
        return row

    def _cgroup(self, process: ProcDirectory, task: str) -> Cgroups:
        text = cgroup.read(process, task)
        known = self._cgroups.get(text)
        if known is None:
            known = self._cgroups[text] = cgroup.parse(text)
        return known


@dataclass(frozen=True, slots=True)
class Pinned:
    """One process and where its losses are counted.

    While a process ends, its files answer nothing (limits) or are missing (ns/net), and nothing is wrong with the tree.
    """

    process: ProcDirectory
    losses: Losses
    pid: int

    def figure(self, what: str, read: Callable[[ProcDirectory], T], *, refusable: bool = False) -> T | None:
        """Read something; on failure count it and return `None`. Raises `Gone`, and `Denied` where that is asked for."""
        try:
            return read(self.process)
        except Denied as error:
            if refusable:
                raise
            self.losses.count(what, error, self.pid)
        except (Absent, Malformed) as error:
            if self.process.mortal and stat.read(self.process).ending:
                raise Gone(str(error)) from None
            self.losses.count(what, error)
        return None


def _living_thread(leader: int, process: ProcDirectory) -> int:
    """Find a thread that lives on after its leader; any will do, for they share one table as a rule."""
    for name in process.names("task"):
        if name.isdigit() and int(name) != leader:
            try:
                process.stat(f"task/{name}")
            except (Absent, Gone):
                continue
            return int(name)
    return leader
