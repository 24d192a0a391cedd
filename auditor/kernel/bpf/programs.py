"""The programs at work: two passes over the kernel's tables, and what they tell."""

import ctypes
import errno
import os
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from auditor.kernel.bpf import artifact
from auditor.kernel.bpf.descriptors import Descriptors, Reader
from auditor.kernel.bpf.interned import Interned
from auditor.kernel.bpf.layout import Values, layout, makes, packed
from auditor.kernel.bpf.libbpf import Object
from auditor.kernel.bpf.records import (
    Accepted,
    Charged,
    Lesson,
    Number,
    OwnRange,
    Peer,
    PeerOf,
    Port,
    PortKey,
    Settings,
    Signed,
    Stranger,
    StrangersOf,
    Task,
    Word,
)
from auditor.kernel.errors import Absent, Malformed
from auditor.model import Kind

K = TypeVar("K")
V = TypeVar("V")
Batches = Callable[[str, int, int], Iterator[tuple[bytes, bytes]]]

BTF = "/sys/kernel/btf/vmlinux"
_MAPS: Mapping[str, tuple[type, type]] = {
    "strangers": (Stranger, StrangersOf),
    "budgets": (Number, Charged),
    "epolls": (Word, Signed),
    "ports": (Port, Accepted),
    "peers": (PeerOf, Number),
    "ranges": (OwnRange, Number),
    "tables": (Number, Number),
}
"""Keys and values of those that a pass fills."""
_INDISPENSABLE = frozenset({Kind.SOCKET, Kind.EPOLL})  # of inotify, credentials tell what is charged to whom
_AT_ONCE = 8  # pieces: the kernel's pass and what is made of it push each other out of the CPU's caches
_U32 = 0xFFFFFFFF
_FIRST: Callable[[Values], Any] = itemgetter(0)  # the one figure of a record that has no other


class Programs:
    """Loaded and taught. Maps are shared by all readers: one pass at a time.

    Raises:
        Absent: no compiled object, no BTF, no libbpf. Denied: no right. Malformed: the kernel refuses the programs.
    """

    def __init__(self, path: str = str(artifact.OBJECT), btf: str = BTF) -> None:
        if not os.path.exists(btf):
            raise Absent(f"the kernel does not describe its types ({btf} is missing: CONFIG_DEBUG_INFO_BTF)")
        data = artifact.read(path)
        self._single = 0
        self._operations: dict[str, int] = {}
        self._unlearnt: Mapping[Kind, str] = {}
        self._tasks: Interned[Task] = Interned(lambda said: Task(*layout(Task).unpack(said)))
        self._reader = Reader()
        self._ports: frozenset[PortKey] = frozenset()  # in the map
        self._round = 0
        self._object = Object(data)
        try:
            self._teach()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of them."""
        self._object.close()

    def empty(self) -> None:
        """Throw away what is in the maps."""
        for name in _MAPS:
            self._drain(name, _FIRST, _FIRST)
        self._ports = frozenset()

    def tasks(self) -> list[Task]:
        """List the processes that show in the reader's PID namespace, and threads with a table of their own.

        One that says just what it said before is the same object.
        """
        self._tasks.begin()
        take, size = self._tasks.of, layout(Task).size
        for piece in self._object.read("tasks"):
            for start in range(0, len(piece), size):
                take(piece[start : start + size])
        return self._tasks.end()

    def descriptors(
        self, ports: frozenset[PortKey] = frozenset(), *, epolls: bool = False, egress: bool = False
    ) -> Descriptors:
        """Visit every descriptor.

        Args:
            ports: where connections are counted, `PORTS_MAX` of them at most.
            epolls: whether to tell of each epoll instance.
            egress: whether to count every connection that was begun to an address outside by its other end.

        Raises:
            Malformed: a kind could not be learnt yet without which a pass tells nothing.
        """
        if self._unlearnt:
            self._teach()
        if missing := sorted(_INDISPENSABLE & self._unlearnt.keys()):
            raise Malformed(f"no {missing[0].value} can be opened to learn from: {self._unlearnt[missing[0]]}")
        self._round = self._round + 1 & _U32
        self._tell(epolls=epolls, egress=egress)
        self._ask(ports)
        found = Descriptors(unlearnt=self._unlearnt)
        take, pieces = self._reader.begin(found), self._object.read("descriptors")
        while some := list(islice(pieces, _AT_ONCE)):
            for piece in some:
                take(piece)
        self._reader.end()
        # To look through a map takes its time, though it be empty.
        if any(one.elsewhere for one in found.sums.values()):
            found.strangers = self._drain("strangers", makes(Stranger), makes(StrangersOf))
        found.budgets = dict(self._drain("budgets", _FIRST, makes(Charged)))
        found.epoll_watches = dict(self._drain("epolls", _FIRST, _FIRST))
        found.connections = self._accepted()
        if any(one.more_peers for one in found.sums.values()):
            self._add_peers(found)
        found.ranges = [key for key, _ in self._drain("ranges", makes(OwnRange), _FIRST)]
        self._drain("tables", _FIRST, _FIRST)
        return found

    def _add_peers(self, found: Descriptors) -> None:
        """Put those that found no room behind the sums of their task to the others."""
        several: defaultdict[int, bytearray] = defaultdict(bytearray)
        drained = self._drain("peers", makes(PeerOf), _FIRST)
        for one, number in drained:
            several[one.pid] += layout(Peer).pack(one.address, one.state, one.family, one.port, number)
        for task, more in several.items():
            found.peers[task] = found.peers.get(task, b"") + more
        found.more_peers = len(drained)

    def _ask(self, ports: frozenset[PortKey]) -> None:
        """Put the ports into the map. They stay there: mostly the next pass asks for the same."""
        if ports == self._ports:
            return
        if self._ports - ports:
            self._drain("ports", _FIRST, _FIRST)
            self._ports = frozenset()
        new = list(ports - self._ports)
        self._object.update_all("ports", packed(Port, new), bytes(layout(Accepted).size * len(new)), len(new))
        self._ports = ports

    def _accepted(self) -> dict[PortKey, int]:
        found = self._unpacked(self._object.entries, "ports", tuple, tuple)
        return {port: number if counted_in == self._round else 0 for port, (counted_in, number) in found}

    def _drain(self, name: str, key: Callable[[Values], K], value: Callable[[Values], V]) -> list[tuple[K, V]]:
        """Empty a map and return what was in it, each entry made of what its layout unpacks."""
        return self._unpacked(self._object.drain, name, key, value)

    def _unpacked(
        self, read: Batches, name: str, key: Callable[[Values], K], value: Callable[[Values], V]
    ) -> list[tuple[K, V]]:
        found: list[tuple[K, V]] = []
        one, other = (layout(record) for record in _MAPS[name])
        for keys, values in read(name, one.size, other.size):
            found.extend(zip(map(key, one.iter_unpack(keys)), map(value, other.iter_unpack(values)), strict=True))
        return found

    def _teach(self) -> None:
        """Learn by what operations the kinds are known, and how many references a lone descriptor shows."""
        self._tell()
        with ExitStack() as stack:
            kinds, self._unlearnt = _specimens(stack)
            unpack = layout(Lesson).iter_unpack
            lessons = [Lesson._make(one) for piece in self._object.read("lessons") for one in unpack(piece)]
        mine = {lesson.fd: lesson for lesson in lessons if lesson.fd in kinds}
        if mine.keys() != kinds.keys():
            raise Malformed(
                "the programs do not see this process: it is in a PID namespace of its own (hostPID shares it)"
            )
        self._operations = {f"of_{kind.value}": mine[fd].operations for fd, kind in kinds.items()}
        self._single = min((lesson.references for lesson in mine.values()), default=0)

    def _tell(self, *, epolls: bool = False, egress: bool = False) -> None:
        namespace = os.stat("/proc/self/ns/pid").st_ino
        settings = Settings(
            self._single, namespace, os.getpid(), int(epolls), int(egress), self._round, **self._operations
        )
        self._object.update("settings", bytes(4), layout(Settings).pack(*settings))


def _specimens(stack: ExitStack) -> tuple[dict[int, Kind], dict[Kind, str]]:
    """Open one of each kind whose operations tell it.

    Returns:
        Kinds by descriptor, and by kind why none can be opened. What this kernel does not know is in neither.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    mask = (ctypes.c_uint8 * 128)()
    opened, refused = dict[int, Kind](), dict[Kind, str]()
    for kind, call, *arguments in (
        (Kind.EPOLL, libc.epoll_create1, os.O_CLOEXEC),
        (Kind.EVENTFD, libc.eventfd, 0, os.O_CLOEXEC),
        (Kind.INOTIFY, libc.inotify_init1, os.O_CLOEXEC),
        (Kind.TIMERFD, libc.timerfd_create, 1, os.O_CLOEXEC),
        (Kind.SIGNALFD, libc.signalfd, -1, mask, os.O_CLOEXEC),
        (Kind.SOCKET, libc.socket, socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, 0),
    ):
        fd = call(*arguments)
        if fd >= 0:
            stack.callback(os.close, fd)
            opened[fd] = kind
        elif ctypes.get_errno() != errno.ENOSYS:
            refused[kind] = os.strerror(ctypes.get_errno())
    return opened, refused
