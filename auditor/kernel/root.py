"""The root of a procfs tree as a value, and the one place where "gone", "denied" and "absent" are told apart.

All reads go through directory descriptors. One of /proc/PID stays bound to its process: when the pid is given to
another, reads through the old descriptor fail, so that two processes can never be mixed in one row.
"""

import ctypes
import errno
import os
from collections.abc import Iterator
from functools import cached_property
from types import TracebackType
from typing import NoReturn, Self

from auditor.kernel.errors import Absent, Denied, Gone, KernelError, Malformed

PROC_SUPER_MAGIC = 0x9FA0
PROC_PID_INIT_INO = 0xEFFFFFFC
PID_NAMESPACE = "self/ns/pid"
MAXIMUM_PID = 0x7FFFFFFF
MAXIMUM_BYTES = 4 << 20
"""No kernel file that is read whole comes near this size; a recorded tree may hold anything."""
LONGEST_BYTES = 64 << 20
"""Of a list that is read line by line: fs.mount-max, 100,000 mounts, of 600 bytes each."""

_CHUNK_BYTES = 16384
# Seq files end a read early only near a full page, and a sysctl clears as much memory as is asked for.
_FIRST_BYTES = 2047
_LIST_BYTES = 1 << 18  # more than every other port, as text
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a recorded tree may hold a FIFO, which must not block
_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class ProcDirectory:
    """An open directory of a procfs tree: the root itself, or one process.

    `mortal` says that it is a live process's, which may vanish at any moment.

    Names are relative to it. Every method raises `Gone`, `Absent`, `Denied` or `Malformed`.
    """

    __slots__ = ("_fd", "mortal", "path")

    def __init__(self, path: str, *, mortal: bool) -> None:
        self.path = path
        self.mortal = mortal
        self._fd = -1
        try:
            self._fd = os.open(path, _DIRECTORY)
        except OSError as error:
            if mortal and error.errno in (errno.ENOENT, errno.ESRCH):
                raise Gone(path) from None
            self.fault(error, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the directory. Harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, name: str, *, records: bool = False, in_one: bool = False, having: bytes = b"") -> bytes:
        """Return the whole content of a file, or some of its lines. One that is too long is `Malformed`, never cut.

        Args:
            name: relative to the directory.
            records: a file of records of any length, which the kernel may hand out in pieces of any length. Others
                come in one piece unless they are long, which spares a read.
            in_one: a list that the kernel cuts where the read ends, and does not go on with. It is read again if it is long.
            having: what the lines hold that are wanted, of records that are too many to be held whole.
        """
        try:
            fd = os.open(name, _FILE, dir_fd=self._fd)
            try:
                if having:
                    return b"\n".join(_lines(fd, having))
                data = os.read(fd, _CHUNK_BYTES if records else _FIRST_BYTES)
                if len(data) < _FIRST_BYTES and not records:
                    return data
                if in_one:
                    return os.pread(fd, _LIST_BYTES, 0)
                return b"".join((data, *_pieces(fd, MAXIMUM_BYTES - len(data))))
            finally:
                os.close(fd)
        except OSError as error:
            self.fault(error, name)

    def link(self, name: str) -> str:
        """Return what a symbolic link says, without following it."""
        try:
            target = os.readlink(name, dir_fd=self._fd)
        except OSError as error:
            self.fault(error, name)
        if not target:  # no link is empty: so Linux 5.10 answers where it refuses to name a namespace
            raise Denied(f"{self.path}/{name}")
        return target

    def names(self, name: str) -> list[str]:
        """List a directory."""
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=self._fd)
            try:
                return os.listdir(fd)
            finally:
                os.close(fd)
        except OSError as error:
            self.fault(error, name)

    def stat(self, name: str) -> os.stat_result:
        """Ask the kernel about what the name leads to."""
        try:
            return os.stat(name, dir_fd=self._fd)
        except OSError as error:
            self.fault(error, name)

    def open(self, name: str, *, directory: bool = False) -> int:
        """Return a descriptor the caller closes; for work that makes many calls on one directory."""
        try:
            return os.open(name, _DIRECTORY if directory else _FILE, dir_fd=self._fd)
        except OSError as error:
            self.fault(error, name)

    def is_dead(self) -> bool:
        """Prove the death of a process: its own stat file is gone, which no living process or zombie lacks."""
        if not self.mortal:
            return False
        try:
            os.stat("stat", dir_fd=self._fd)
        except OSError as error:
            return error.errno in (errno.ENOENT, errno.ESRCH)
        return False

    def fault(self, error: OSError, name: str) -> NoReturn:
        """Raise what an error on a name below this directory means."""
        where = f"{self.path}/{name}" if name else self.path
        if error.errno in (errno.ENOENT, errno.ESRCH, errno.ENOTDIR):
            if self._fd >= 0 and self.is_dead():
                raise Gone(where) from None
            raise Absent(where) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Denied(where) from None
        raise Malformed(f"{where}: {os.strerror(error.errno or 0)}") from None


def _pieces(fd: int, most: int) -> Iterator[bytes]:
    """Yield what is left of a file. Raises `OSError` where that is more."""
    while data := os.read(fd, _CHUNK_BYTES):
        most -= len(data)
        if most < 0:
            raise OSError(errno.EFBIG, "")
        yield data


def _lines(fd: int, word: bytes) -> Iterator[bytes]:
    """Yield the lines that hold a word. Raises `OSError` where they, or all, are too long."""
    rest = b""
    for data in _pieces(fd, LONGEST_BYTES):
        whole, _, rest = (rest + data).rpartition(b"\n")
        if len(rest) > MAXIMUM_BYTES:
            raise OSError(errno.EFBIG, "")
        if word in whole:
            yield from (line for line in whole.split(b"\n") if word in line)
    if word in rest:
        yield rest


class ProcRoot:
    """A procfs tree: this host's, another's mounted here, or one that was recorded into files.

    Args:
        path: where it is.
    """

    def __init__(self, path: str = "/proc") -> None:
        self.path = path

    @cached_property
    def mounted(self) -> bool:
        """Whether a running kernel is behind it (statfs says PROC_SUPER_MAGIC): processes end, inodes mean something."""
        return filesystem_magic(self.path) == PROC_SUPER_MAGIC

    @cached_property
    def live(self) -> bool:
        """Whether that kernel may be asked for more than files hold: sizes, kcmp, dumps."""
        return self.mounted

    @cached_property
    def own_pids(self) -> bool:
        """Whether its pids are those of this process's own PID namespace, so that calls that take a pid may be made.

        /proc/self/status, NSpid, lists this process's pid in every namespace from the mount's down to its own.
        """
        if not self.live:
            return False
        try:
            with self.top() as top:
                status = top.read("self/status")
        except (Absent, Denied, Malformed):
            return False
        _, found, rest = status.partition(b"\nNSpid:")
        return bool(found) and rest.split(b"\n", 1)[0].split() == [str(os.getpid()).encode()]

    @cached_property
    def nested(self) -> bool:
        """Whether it shows the processes of one PID namespace only, not the initial one's (and so all).

        A recorded tree has the link where that was so.
        """
        if self.mounted and not self.own_pids:
            return False
        try:
            with self.top() as top:
                return top.link(PID_NAMESPACE) != f"pid:[{PROC_PID_INIT_INO}]"
        except KernelError:
            return False

    def top(self) -> ProcDirectory:
        """Open the tree itself."""
        return ProcDirectory(self.path, mortal=False)

    def process(self, pid: int) -> ProcDirectory:
        """Pin one process."""
        return ProcDirectory(f"{self.path}/{pid}", mortal=self.mounted)

    def pids(self) -> list[int]:
        """List the processes (thread group leaders) of the tree, ascending."""
        with self.top() as top:
            numbers = [int(name) for name in top.names(".") if name.isdigit() and name.isascii()]
        return sorted([pid for pid in numbers if 0 < pid <= MAXIMUM_PID])


def in_initial_pid_namespace() -> bool:
    """Whether the reader is; false where /proc is not mounted to tell."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == PROC_PID_INIT_INO
    except OSError:
        return False


def filesystem_magic(path: str) -> int | None:
    """Return f_type of statfs(2), which `os.statvfs` leaves out; `None` when the path cannot be reached."""
    buffer = ctypes.create_string_buffer(256)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(os.fsencode(path), buffer):
        return None
    return ctypes.c_long.from_buffer(buffer).value
