"""/proc/PID/fd, proc_pid_fd(5): the descriptor table of a process."""

import os
import re
import stat
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from auditor.kernel.errors import Absent, Denied, Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import Kind

_ANONYMOUS = {
    "anon_inode:[eventpoll]": Kind.EPOLL,
    "anon_inode:[eventfd]": Kind.EVENTFD,
    "anon_inode:inotify": Kind.INOTIFY,
    "anon_inode:[inotify]": Kind.INOTIFY,
    "anon_inode:[timerfd]": Kind.TIMERFD,
    "anon_inode:[signalfd]": Kind.SIGNALFD,
}
INOTIFY_LINKS = tuple(link for link, kind in _ANONYMOUS.items() if kind is Kind.INOTIFY)
EPOLL_LINKS = ("anon_inode:[eventpoll]",)
PTY_LINKS = ("/dev/ptmx", "/dev/pts/ptmx")
"""A pseudo-terminal lives as long as its master, made by opening one of these."""
SIZE = "fd.size"
"""A file that only a recorded tree has: the number of open descriptors."""
_MAXIMUM_INODE_DIGITS = 19
_MAXIMUM_FD_DIGITS = 9
_TERMINALS = ("/dev/pts/", "/dev/tty", "/dev/console", "/dev/ptmx")
_PLAIN_BELOW_DEV = ("/dev/shm/", "/dev/mqueue/", "/dev/hugepages/")  # noqa: S108 - recognised, not written
_NUMBERED = re.compile(r"(socket|pipe|net|pid):\[\d{1,20}\]", re.ASCII)
_OTHER = "anon_inode:[other]"
STAND_INS: defaultdict[Kind, str] = defaultdict(
    lambda: _OTHER,
    {
        Kind.FILE: "/file",
        Kind.MEMFD: "/memfd:",
        Kind.TTY: "/dev/tty",
        Kind.DEVICE: "/dev/device",
        Kind.SOCKET: "socket:[]",
        Kind.PIPE: "pipe:[]",
    },
)
"""What a link is reduced to that says more than the kind."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One descriptor table, classified whole.

    Attributes:
        kinds: descriptors by kind; the sum is the table's size.
        sockets: (inode of the socket, descriptor), in two columns.
        others: (what the link says, descriptor) of everything else.
    """

    kinds: dict[Kind, int]
    sockets: tuple["array[int]", "array[int]"]
    others: list[tuple[str, int]]

    @property
    def size(self) -> int:
        """How many descriptors were open."""
        return len(self.sockets[0]) + len(self.others)


def size_is_count(root: ProcRoot) -> bool:
    """Whether st_size of the directory is the number of open descriptors: a live procfs of Linux 6.2 or newer."""
    if not root.live:
        return False
    try:
        return os.stat(f"{root.path}/self/fd").st_size > 0  # this process surely has some open
    except OSError:
        return False


def read_count(process: ProcDirectory, task: str = "", *, by_size: bool) -> int:
    """Count open descriptors.

    By size: one stat(2), any user may. Else by listing, which another's process allows only with CAP_SYS_PTRACE, costs
    time per descriptor, and charges the reader's memory cgroup for the directory entries. A recorded tree has the size
    apart, for what could not be copied.
    """
    if by_size:
        return process.stat(f"{task}fd").st_size
    try:
        return count(process.names(f"{task}fd"))
    except (Absent, Denied) as error:
        with suppress(Absent, Denied, Malformed, ValueError):
            return natural(process.read(f"{task}{SIZE}"))
        raise error from None


def count(names: Iterable[str]) -> int:
    """Count the descriptors in a listing of /proc/PID/fd."""
    return sum(map(_is_descriptor, names))


def read_listing(process: ProcDirectory, task: str = "", *, live: bool) -> Listing:
    """Classify every descriptor by its link. Another's process needs CAP_SYS_PTRACE (CAP_DAC_READ_SEARCH to list).

    A descriptor closed meanwhile is not there. Raises `Gone` when the process ended meanwhile: a table is classified
    whole or not at all.
    """
    directory = process.open(f"{task}fd", directory=True)
    try:
        links = []
        missed = False
        for name in os.listdir(directory):
            if not _is_descriptor(name):
                continue
            try:
                links.append((int(name), os.readlink(name, dir_fd=directory)))
            except (FileNotFoundError, ProcessLookupError):
                missed = True
        if missed or not links:
            process.stat("stat")  # Gone, with proof: the links of a dead process all fail alike
        return classify(links, lambda fd: mode(directory, str(fd)) if live else None)
    except OSError as error:
        process.fault(error, f"{task}fd")
    finally:
        os.close(directory)


def classify(links: Iterable[tuple[int, str]], mode_of: Callable[[int], int | None]) -> Listing:
    """Sort descriptors by what their links say.

    Args:
        links: (descriptor, link).
        mode_of: st_mode of what a descriptor refers to, asked for only where the link is no proof (below /dev);
            `None` when it cannot be known.
    """
    kinds: Counter[Kind] = Counter()
    inodes, holders = array("Q"), array("Q")
    others = []
    for fd, target in links:
        if target.startswith("socket:[") and (inode := _number(target[8:-1])) is not None:
            inodes.append(inode)
            holders.append(fd)
            continue
        kinds[kind_of(target, mode_of(fd) if target.startswith("/dev/") else None)] += 1
        others.append((target, fd))
    if inodes:
        kinds[Kind.SOCKET] += len(inodes)
    return Listing(dict(kinds), (inodes, holders), others)


def _is_descriptor(name: str) -> bool:
    """Whether it is the name of a descriptor: only a recorded tree has others."""
    return name.isdigit() and name.isascii() and len(name) <= _MAXIMUM_FD_DIGITS


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAXIMUM_INODE_DIGITS else None


def kind_of(target: str, mode: int | None = None) -> Kind:
    """Name the kind of a descriptor.

    Args:
        target: what the link says.
        mode: st_mode, where it was asked for: below /dev there are devices, terminals and plain files alike.
    """
    if target.startswith("/"):
        return _path_kind(target, mode)
    if target.startswith("pipe:["):
        return Kind.PIPE
    if target.startswith("socket:["):
        return Kind.SOCKET
    return _ANONYMOUS.get(target, Kind.OTHER)


def reduce(target: str, mode_of: Callable[[], int | None] = lambda: None) -> str:
    """Reduce what a link says to its kind, which `kind_of` finds again without asking for a mode.

    Args:
        target: what the link says.
        mode_of: st_mode of what it leads to; asked for only below /dev.
    """
    if target in _ANONYMOUS or target in PTY_LINKS or _NUMBERED.fullmatch(target):
        return target
    return STAND_INS[kind_of(target, mode_of() if target.startswith("/dev/") else None)]


def _path_kind(target: str, mode: int | None) -> Kind:
    if target.startswith("/memfd:"):
        return Kind.MEMFD
    if not target.startswith("/dev/"):
        return Kind.FILE
    if mode is not None and not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        return Kind.FILE
    if mode is None and target.startswith(_PLAIN_BELOW_DEV):
        return Kind.FILE
    return Kind.TTY if target.startswith(_TERMINALS) else Kind.DEVICE


def mode(directory: int, name: str) -> int | None:
    """Return st_mode of what a descriptor of an open /proc/PID/fd refers to; `None` when it was closed."""
    try:
        return os.stat(name, dir_fd=directory).st_mode
    except OSError:
        return None
