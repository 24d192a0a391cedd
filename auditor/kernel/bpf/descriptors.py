"""One pass over all descriptors: what the programs write down, record by record."""

import struct
from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from auditor.kernel.bpf import records
from auditor.kernel.bpf.records import Charged, Held, Named, OwnRange, PeerOf, Port, Stranger, StrangersOf, Sums, layout
from auditor.kernel.bpf.sharing import Sharing
from auditor.model import Kind

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
    """What a pass told.

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


def taker(found: Descriptors) -> Callable[[bytes], None]:
    """Return what takes over one piece after the other of what the iterator writes.

    Of shared descriptions there may be a million, each held by hundreds: the loop calls nothing that it can do itself.
    """
    held, sums, named = layout(Held), layout(Sums), layout(Named)
    head, read_held, read_sums = _HEAD.unpack_from, held.unpack_from, sums.unpack_from
    held_size, sums_size = held.size, sums.size
    add_held, add_sums, make = found.held.append, found.sums.append, tuple.__new__
    group_of, joined, members = found.sharing.group_of, found.sharing.joined, found.sharing.members
    group_before = group_of.get

    def take(piece: bytes) -> None:
        offset, end = 0, len(piece)
        while offset < end:
            tag, task, file, kind, flags, sort = head(piece, offset)
            if tag == _HELD:
                group = group_before(file)
                if group is None:
                    group = 0
                    if flags != records.SHARED or kind not in _ALONE:
                        if flags == records.SHARED and kind == _SOCKET and sort in _ALONE_SOCKETS:
                            found.shared_sockets[sort].append(file)
                        else:
                            add_held(make(Held, read_held(piece, offset)))
                offset += held_size
                if members[group][1] == task:  # a task's records come together
                    continue
                key = group << 32 | task
                number = joined.get(key)
                if number is None:
                    number = joined[key] = len(members)
                    members.append((group, task))
                group_of[file] = number
            elif tag == _SUMS:
                add_sums(make(Sums, read_sums(piece, offset)))
                offset += sums_size
            else:
                name = Named._make(named.unpack_from(piece, offset))
                found.names[name.file] = name.name[: name.length]
                offset += named.size

    return take
