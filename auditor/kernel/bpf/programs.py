"""The programs at work: two passes over the kernel's tables, and what they tell."""

import ctypes
import os
import socket
import struct
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from auditor.kernel.bpf import artifact, records
from auditor.kernel.bpf.libbpf import Object
from auditor.kernel.bpf.records import (
    Charged,
    Held,
    Lesson,
    Named,
    Number,
    OwnRange,
    PeerOf,
    Port,
    Settings,
    Signed,
    Stranger,
    StrangersOf,
    Sums,
    Task,
    Word,
    layout,
)
from auditor.kernel.bpf.sharing import Sharing
from auditor.kernel.errors import Absent, Malformed
from auditor.model import Kind

BTF = "/sys/kernel/btf/vmlinux"
_HEAD = struct.Struct("=IIQ16xBBBx")  # tag, pid, file, kind, flags and socket of a `Held`; every record is as long
_SUMS, _HELD = records.CONSTANTS["SUMS"], records.CONSTANTS["HELD"]
_SOCKET = records.KINDS.index(Kind.SOCKET)
# What is shared, and no more matters of it than by whom: there are many.
_ALONE = frozenset(
    number for number, kind in enumerate(records.KINDS) if kind not in (Kind.SOCKET, Kind.INOTIFY, Kind.EPOLL)
)
_ALONE_SOCKETS = frozenset(sort for sort, name in records.SOCKETS.items() if name not in ("tcp", "udp"))


@dataclass(slots=True)
class Descriptors:
    """One pass over all descriptors.

    Attributes:
        sums: by task.
        held: descriptors that stand for themselves; of each description one.
        shared_sockets: by sort, the descriptions of sockets of which no more matters than who shares them.
        sharing: who refers to each description that has several references, or stands for itself.
        strangers: sockets of other namespaces than their holder's.
        budgets: of inotify, by address.
        epoll_watches: by user; what single CPUs have not added yet is missing.
        connections: established ones at each port that was asked for.
        peers: the other end of connections; of established ones a sample, weighted, but of those outside all if asked for.
        names: of UNIX sockets that listen, by description.
        ranges: of ephemeral ports that single sockets have.
    """

    sums: list[Sums] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    shared_sockets: defaultdict[int, "array[int]"] = field(default_factory=lambda: defaultdict(lambda: array("Q")))
    sharing: Sharing = field(default_factory=Sharing)
    strangers: dict[Stranger, StrangersOf] = field(default_factory=dict)
    budgets: dict[int, Charged] = field(default_factory=dict)
    epoll_watches: dict[int, int] = field(default_factory=dict)
    connections: dict[Port, int] = field(default_factory=dict)
    peers: dict[PeerOf, int] = field(default_factory=dict)
    names: dict[int, bytes] = field(default_factory=dict)
    ranges: list[OwnRange] = field(default_factory=list)


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
        self._object = Object(data)
        try:
            self._teach()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of them."""
        self._object.close()

    def tasks(self) -> list[Task]:
        """List the processes that show in the reader's PID namespace, and threads with a table of their own."""
        unpack = layout(Task).iter_unpack
        return [Task._make(one) for piece in self._object.read("tasks") for one in unpack(piece)]

    def descriptors(self, ports: Iterable[Port] = (), *, epolls: bool = False, egress: bool = False) -> Descriptors:
        """Visit every descriptor.

        Args:
            ports: where connections are counted.
            epolls: whether to tell of each epoll instance.
            egress: whether to count every connection to an address outside by its other end.
        """
        self._tell(epolls=epolls, egress=egress)
        pack = layout(Port).pack
        self._object.update_all("ports", ((pack(*port), bytes(8)) for port in ports))
        found = Descriptors()
        sums, held, named = layout(Sums), layout(Held), layout(Named)
        head, add = _HEAD.unpack_from, found.sharing.adder()
        known = found.sharing.group_of
        for piece in self._object.read("descriptors"):
            offset, end = 0, len(piece)
            while offset < end:
                tag, task, file, kind, flags, sort = head(piece, offset)
                if tag == _HELD:  # of these there may be a million
                    if file not in known and (flags != records.SHARED or kind not in _ALONE):
                        if flags == records.SHARED and kind == _SOCKET and sort in _ALONE_SOCKETS:
                            found.shared_sockets[sort].append(file)
                        else:
                            found.held.append(Held._make(held.unpack_from(piece, offset)))
                    add(task, file)
                    offset += held.size
                elif tag == _SUMS:
                    found.sums.append(Sums._make(sums.unpack_from(piece, offset)))
                    offset += sums.size
                else:
                    name = Named._make(named.unpack_from(piece, offset))
                    found.names[name.file] = name.name[: name.length]
                    offset += named.size
        strangers = self._drain("strangers", Stranger, StrangersOf)
        found.strangers = {Stranger._make(key): StrangersOf._make(value) for key, value in strangers}
        found.budgets = {int(key[0]): Charged._make(value) for key, value in self._drain("budgets", Number, Charged)}
        found.epoll_watches = {key[0]: value[0] for key, value in self._drain("epolls", Word, Signed)}
        found.connections = {Port._make(key): value[0] for key, value in self._drain("ports", Port, Number)}
        found.peers = {PeerOf._make(key): value[0] for key, value in self._drain("peers", PeerOf, Number)}
        found.ranges = [OwnRange._make(key) for key, _ in self._drain("ranges", OwnRange, Number)]
        return found

    def _drain(
        self, name: str, key: records.Record, value: records.Record
    ) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        one, other = layout(key), layout(value)
        for keys, values in self._object.drain(name, one.size, other.size):
            yield from zip(one.iter_unpack(keys), other.iter_unpack(values), strict=True)

    def _teach(self) -> None:
        """Learn by what operations the kinds are known, and how many references a lone descriptor shows."""
        self._tell()
        with ExitStack() as stack:
            kinds = dict(_specimens(stack))
            unpack = layout(Lesson).iter_unpack
            lessons = [Lesson._make(one) for piece in self._object.read("lessons") for one in unpack(piece)]
        mine = {lesson.fd: lesson for lesson in lessons if lesson.fd in kinds}
        if mine.keys() != kinds.keys():
            raise Malformed(
                "the programs do not see this process: it is in a PID namespace of its own (hostPID shares it)"
            )
        self._operations = {f"of_{kind.value}": mine[fd].operations for fd, kind in kinds.items()}
        self._single = min(lesson.references for lesson in mine.values())

    def _tell(self, *, epolls: bool = False, egress: bool = False) -> None:
        namespace = os.stat("/proc/self/ns/pid").st_ino
        settings = Settings(self._single, namespace, os.getpid(), int(epolls), int(egress), **self._operations)
        self._object.update("settings", bytes(4), layout(Settings).pack(*settings))


def _specimens(stack: ExitStack) -> Iterator[tuple[int, Kind]]:
    """Open one of each kind whose operations tell it: (descriptor, kind)."""
    libc = ctypes.CDLL(None, use_errno=True)
    mask = (ctypes.c_uint8 * 128)()
    for kind, fd in (
        (Kind.EPOLL, libc.epoll_create1(os.O_CLOEXEC)),
        (Kind.EVENTFD, libc.eventfd(0, os.O_CLOEXEC)),
        (Kind.INOTIFY, libc.inotify_init1(os.O_CLOEXEC)),
        (Kind.TIMERFD, libc.timerfd_create(1, os.O_CLOEXEC)),
        (Kind.SIGNALFD, libc.signalfd(-1, mask, os.O_CLOEXEC)),
        (Kind.SOCKET, libc.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, 0)),
    ):
        if fd >= 0:  # else a budget is spent just now, and descriptors of this kind count as others
            stack.callback(os.close, fd)
            yield fd, kind
