"""A procfs tree that saves what is read from it, so that the same reads can be made again elsewhere.

There is no list of files to save: whatever a sweep asks for is copied, and the sweep is answered from the copy. The tree
calls itself not live, so that the sweep asks for just what it will ask of the copy. What carries text of users is reduced
first; a file that nobody has thought about is not saved at all, and the sweep finds it absent.
"""

import errno
import os
import re
import shutil
import stat as modes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import NoReturn

from auditor.kernel.errors import Absent, Gone, KernelError, Malformed
from auditor.kernel.procfs import fd, fdinfo, maps, mountinfo, stat, status
from auditor.kernel.root import PID_NAMESPACE, ProcDirectory, ProcRoot

_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PREFIX = re.compile(r"(\d+/)?(task/\d+/)?")
_FDINFO = re.compile(r"fdinfo/\d+")

_SAVED: tuple[tuple[re.Pattern[str], Callable[[bytes], bytes]], ...] = (
    (re.compile("stat"), stat.reduce),
    (re.compile("status"), status.reduce),
    (re.compile("mountinfo"), mountinfo.reduce),
    (re.compile("maps"), maps.reduce),
    (re.compile(r"fd\.size|cgroup|limits|loadavg|key-users|net/sockstat6?|net/stat/\w+"), bytes),
    (re.compile(r"sys/.+|root/.*pids\.(max|current)", re.DOTALL), bytes),
)
"""What may be saved, and how it is reduced to figures and names of processes and cgroups."""


class Recording(ProcRoot):
    """A tree and the folder its copy goes to.

    A file that cannot be written is counted and is then absent to the reader, as it will be to whoever reads the copy.

    Args:
        path: the tree.
        folder: empty, and out of the reach of other users.

    Attributes:
        failures: how many could not be written.
        failure: the first of them.
        abroad: the reader is not known to be in the host's network namespace, so that sysctls of its own are not saved.
    """

    def __init__(self, path: str, folder: str) -> None:
        super().__init__(path)
        self.folder = folder
        self.failures = 0
        self.failure = ""
        self.abroad = False
        self._starts: dict[int, int] = {}
        self._gone: set[str] = set()

    @cached_property
    def live(self) -> bool:
        """Never: what is read here is what the copy will hold."""
        return False

    @cached_property
    def nested(self) -> bool:
        """Whether the tree is, and so the copy."""
        return ProcRoot(self.path).nested

    @cached_property
    def sizes(self) -> bool:
        """Whether the tree tells the size of a table of descriptors that may not be listed."""
        return fd.size_is_count(ProcRoot(self.path))

    def top(self) -> ProcDirectory:
        """Open the tree itself."""
        return _Copying(self, "", mortal=False)

    def pids(self) -> list[int]:
        """List the processes, and save that they are there: one that does not open is missed in the copy as well."""
        pids = super().pids()
        with suppress(Absent):
            for pid in pids:
                self.make(str(pid))
        return pids

    def process(self, pid: int) -> ProcDirectory:
        """Pin one process. A pid that was given to another since it was first read is `Gone`."""
        try:
            process = _Copying(self, str(pid), mortal=self.mounted)
        except Gone:
            self.left(str(pid))
            raise
        if self.mounted:
            try:
                self._expect_the_same(pid, process)
            except KernelError:
                process.close()
                raise
        return process

    def _expect_the_same(self, pid: int, process: ProcDirectory) -> None:
        start = stat.parse(ProcDirectory.read(process, "stat")).start
        if self._starts.setdefault(pid, start) != start:
            self.left(str(pid))
            raise Gone(f"{pid}: the pid was given to another process")

    def left(self, process: str) -> None:
        """Note that a process ended: half a process would be read as a whole one."""
        self._gone.add(process)

    def finish(self, netns_of: Mapping[int, int | None]) -> int:
        """Remove the processes that ended meanwhile, say of what namespace the others are, and return how many were read.

        Args:
            netns_of: by pid of those the sweep has found, their network namespace, which it may know in spite of a
                refused link.
        """
        saved = {name for name in os.listdir(self.folder) if name.isdigit()}
        read = {name for name in saved - self._gone if int(name) in netns_of}
        for name in saved - read:
            named = os.path.exists(f"{self.folder}/{name}/stat")
            if name in self._gone or (self.mounted and named):  # else it could not be read, nor can the copy be
                shutil.rmtree(f"{self.folder}/{name}", ignore_errors=True)
        for name in read:
            netns = netns_of[int(name)]
            if netns is not None and not os.path.lexists(f"{self.folder}/{name}/ns/net"):
                with suppress(Absent):
                    self.save_link(f"{name}/ns/net", f"net:[{netns}]")
        if self.nested:
            with suppress(KernelError), self.top() as top:
                top.link(PID_NAMESPACE)
        return len(read)

    def save(self, name: str, data: bytes) -> None:
        """Write a file. Raises `Absent` where that fails, `Malformed` for a name that leads out of the folder."""
        with self._writing(name) as path:
            _make(os.path.dirname(path))
            file = os.open(path, _FILE, 0o600)
            try:
                with os.fdopen(file, "wb") as writer:
                    writer.write(data)
            except OSError:
                os.unlink(path)  # half a file may well be read as a whole one
                raise

    def save_link(self, name: str, target: str) -> None:
        """Write a symbolic link. Raises what `save` raises."""
        with self._writing(name) as path:
            _make(os.path.dirname(path))
            with suppress(FileNotFoundError):
                os.unlink(path)
            os.symlink(target, path)

    def make(self, name: str) -> None:
        """Make a folder; harmless when repeated. Raises what `save` raises."""
        with self._writing(name) as path:
            _make(path)

    @contextmanager
    def _writing(self, name: str) -> Iterator[str]:
        if ".." in name.split("/"):
            raise Malformed(name)
        try:
            yield f"{self.folder}/{name}"
        except OSError as error:
            self.failures += 1
            self.failure = self.failure or f"{name[:200]}: {os.strerror(error.errno or errno.EIO)}"
            raise Absent(name) from None


class _Copying(ProcDirectory):
    """A directory of a tree that is recorded. Each method reads, reduces, saves, and answers with what was saved."""

    __slots__ = ("_name", "_recording")

    def __init__(self, recording: Recording, name: str, *, mortal: bool) -> None:
        self._recording = recording
        self._name = name
        super().__init__(f"{recording.path}/{name}" if name else recording.path, mortal=mortal)

    def read(self, name: str, *, records: bool = False, in_one: bool = False, having: bytes = b"") -> bytes:
        """Save a file, if it is one that may be."""
        plain = _PREFIX.sub("", name, count=1)
        reduce = next((reduce for pattern, reduce in _SAVED if pattern.fullmatch(plain)), None)
        if reduce is None or (self._recording.abroad and name.startswith("sys/net/")):
            raise Absent(f"{self.path}/{name}")
        if plain == fd.SIZE and self._recording.sizes:
            data = str(super().stat(name.removesuffix(fd.SIZE) + "fd").st_size).encode()
        else:
            data = reduce(super().read(name, records=records, in_one=in_one, having=having))
        self._recording.save(self._below(name), data)
        return data

    def link(self, name: str) -> str:
        """Save a link."""
        target = fd.reduce(super().link(name))
        self._recording.save_link(self._below(name), target)
        return target

    def names(self, name: str) -> list[str]:
        """Save that there is such a directory; what is in it follows when it is asked for.

        Of descriptors save how many there are: an empty directory would be read as none, should they not be asked for.
        """
        found = super().names(name)
        if _PREFIX.sub("", name, count=1) == "fd":
            self._recording.save(self._below(name.removesuffix("fd") + fd.SIZE), str(fd.count(found)).encode())
        else:
            self._recording.make(self._below(name))
        return found

    def stat(self, name: str) -> os.stat_result:
        """Save that there is such a directory."""
        found = super().stat(name)
        if modes.S_ISDIR(found.st_mode):
            self._recording.make(self._below(name))
        return found

    def open(self, name: str, *, directory: bool = False) -> int:
        """Save a directory of descriptors, or what one of them watches, and open the copy."""
        try:
            if directory:
                self._copy_links(name)
            elif _FDINFO.fullmatch(_PREFIX.sub("", name, count=1)):
                self._copy_watches(name)
            else:
                raise Absent(f"{self.path}/{name}")
        except KernelError:  # half a table would be read as a whole one
            shutil.rmtree(f"{self._recording.folder}/{self._below(name)}", ignore_errors=True)
            raise
        copy = f"{self._recording.folder}/{self._below(name)}"
        return os.open(copy, _DIRECTORY if directory else os.O_RDONLY | os.O_CLOEXEC)

    def fault(self, error: OSError, name: str) -> NoReturn:
        """Raise what an error means."""
        try:
            super().fault(error, name)
        except Gone:
            self._recording.left(self._name)
            raise

    def _below(self, name: str) -> str:
        return f"{self._name}/{name}" if self._name else name

    def _copy_links(self, name: str) -> None:
        directory = super().open(name, directory=True)
        missed = False
        try:
            self._recording.make(self._below(name))
            for number in os.listdir(directory):
                try:
                    target = os.readlink(number, dir_fd=directory)
                except (FileNotFoundError, ProcessLookupError):
                    missed = True
                    continue
                reduced = fd.reduce(target, partial(fd.mode, directory, number))
                self._recording.save_link(self._below(f"{name}/{number}"), reduced)
        except OSError as error:
            self.fault(error, name)
        finally:
            os.close(directory)
        if missed:
            super().stat("stat")  # Gone, with proof

    def _copy_watches(self, name: str) -> None:
        file = super().open(name)
        try:
            with os.fdopen(file, "rb") as lines:
                watches = fdinfo.reduce(lines)
        except OSError as error:
            self.fault(error, name)
        self._recording.save(self._below(name), watches)


def _make(path: str) -> None:
    """Make a folder and those above for its user alone; `os.makedirs` would leave those above to the umask."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        _make(os.path.dirname(path))
        os.mkdir(path, 0o700)
