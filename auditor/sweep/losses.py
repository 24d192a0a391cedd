"""What a sweep could not read: counted while it goes on, published as gaps when it ends."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from auditor.kernel import capabilities
from auditor.kernel.errors import Absent, Denied, Gone, Malformed
from auditor.model import Gap

T = TypeVar("T")

OF_DESCRIPTORS = frozenset({"inotify-instances", "inotify-watches", "epoll-watches"})
"""Limits whose use is added up from what descriptors refer to."""

OF_NAMESPACES = frozenset({"time-wait", "conntrack", "listen-backlog", "ephemeral-ports"})
"""Limits that are read in each network namespace."""

_DENIED: dict[str, tuple[str, str, frozenset[str]]] = {
    "process": (
        "denied-processes",
        "processes hidden by the mount option hidepid: CAP_SYS_PTRACE shows them",
        OF_DESCRIPTORS | {"process-fds"},
    ),
    "fd": (
        "denied-fds",
        "processes whose descriptors could not be counted: CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or Linux 6.2, show them",
        OF_DESCRIPTORS | {"process-fds"},
    ),
    "fd-kinds": (
        "denied-fd-kinds",
        "processes whose descriptors could be counted but not told apart: CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH show them",
        OF_DESCRIPTORS,
    ),
    "netns": (
        "denied-netns",
        "processes whose network namespace is unknown: CAP_SYS_PTRACE shows it",
        OF_NAMESPACES,
    ),
    "kernel/pid_max": (
        "pid-max",
        "kernel.pid_max of the machine does not show in another PID namespace: hostPID, or docker run --pid=host, shows it",
        frozenset({"pids"}),
    ),
}
_PTRACED = frozenset({"process", "fd", "fd-kinds", "netns"})
"""What the named rights open, but for processes that a security module or another user namespace guards."""
_LIMITS = {
    "stat": OF_DESCRIPTORS | {"process-fds"},
    "limits": frozenset({"process-fds"}),
    "fd": OF_DESCRIPTORS | {"process-fds"},
    "fd-kinds": OF_DESCRIPTORS,
    "status": OF_DESCRIPTORS,
    "netns": OF_NAMESPACES,
    "mountinfo": OF_NAMESPACES,
    "sockstat": frozenset({"time-wait", "ephemeral-ports"}),
    "fs/file-nr": frozenset({"file-handles"}),
    "fs/file-max": frozenset({"file-handles"}),
    "loadavg": frozenset({"pids", "threads"}),
    "kernel/pid_max": frozenset({"pids"}),
    "kernel/threads-max": frozenset({"threads"}),
    "fs/inotify/max_user_instances": frozenset({"inotify-instances"}),
    "fs/inotify/max_user_watches": frozenset({"inotify-watches"}),
    "fs/epoll/max_user_watches": frozenset({"epoll-watches"}),
    "net/ipv4/tcp_max_tw_buckets": frozenset({"time-wait"}),
    "net/ipv4/ip_local_port_range": frozenset({"ephemeral-ports"}),
}


class Losses:
    """Counts by kind of file. One per sweep; the only thing in it that changes hands between the rooms."""

    def __init__(self) -> None:
        self.vanished = 0
        self.denied_pids: set[int] = set()
        self._denied: Counter[str] = Counter()
        self._absent: Counter[str] = Counter()
        self._malformed: Counter[str] = Counter()
        self._example = ""
        self._concerned: defaultdict[str, frozenset[str]] = defaultdict(frozenset)

    def attempt(self, what: str, read: Callable[[], T], *limits: str) -> T | None:
        """Read something, or count why not and return `None`. `Gone` rises: its process is no longer there."""
        try:
            return read()
        except (Denied, Absent, Malformed) as error:
            self.count(what, error, limits=limits)
            return None

    def count(self, what: str, error: Exception, pid: int | None = None, *, limits: Iterable[str] = ()) -> None:
        """Count one failure.

        Args:
            what: kind of file.
            error: what came of reading it.
            pid: of the process it is about.
            limits: ids of those that cannot be judged without, where the kind of file does not tell.
        """
        if not isinstance(error, Gone):
            self._concerned[what] |= _LIMITS.get(what, frozenset()).union(limits)
        match error:
            case Gone():
                self.vanished += 1
            case Denied():
                self._denied[what] += 1
                if pid is not None:
                    self.denied_pids.add(pid)
            case Absent():
                self._absent[what] += 1
            case _:
                self._malformed[what] += 1
                self._example = self._example or str(error)

    def lost(self, *what: str) -> bool:
        """Whether a file of one of these kinds could not be read."""
        return not self._concerned.keys().isdisjoint(what)

    def gaps(self) -> Iterator[Gap]:
        """Say it in gaps."""
        rights = capabilities.CAP_SYS_PTRACE, capabilities.CAP_DAC_READ_SEARCH
        in_spite_of_rights = bool(self._denied) and capabilities.effective(*rights)
        for what, number in sorted(self._denied.items()):
            name, detail, limits = _DENIED.get(
                what, ("denied-files", f"reads of {what} were refused", self._concerned[what])
            )
            if in_spite_of_rights and what in _PTRACED:
                detail = f"{detail.partition(':')[0]}: the kernel guards them even from CAP_SYS_PTRACE"
            yield Gap(name, detail, number, limits)
        if self._absent:
            files = ", ".join(sorted(self._absent))
            yield Gap(
                "absent-files",
                f"files this tree does not have: {files}",
                self._absent.total(),
                self._limits(self._absent),
            )
        if self._malformed:
            detail = f"files that are not what the kernel writes, such as {self._example[:200]}"
            yield Gap("malformed", detail, self._malformed.total(), self._limits(self._malformed))

    def _limits(self, counts: Counter[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self._concerned[what] for what in counts))
