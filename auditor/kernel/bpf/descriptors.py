"""One pass over all descriptors: what the programs write down, record by record."""

import struct
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from auditor.kernel.bpf import records
from auditor.kernel.bpf.interned import Interned
from auditor.kernel.bpf.layout import layout, makes, offset_of
from auditor.kernel.bpf.records import (
    Charged,
    Held,
    Named,
    OwnRange,
    PortKey,
    Stranger,
    StrangersOf,
    Sums,
)
from auditor.kernel.bpf.sharing import Sharing
from auditor.model import Kind

_HEAD = struct.Struct("=HHIQ")  # of every record: tag, size, pid, and the number of a `Several` or the file of a `Held`
_SUMS_LAYOUT, _HELD_LAYOUT, _NAMED_LAYOUT = layout(Sums), layout(Held), layout(Named)
_MAKE_SUMS, _MAKE_HELD = makes(Sums), makes(Held)
_FLAGS = offset_of(Held, "flags")
_FILES = tuple(struct.Struct(f"={number}Q") for number in range(records.SEVERAL_MAX + 1))
_SUMS, _HELD, _SEVERAL = (records.CONSTANTS[name] for name in ("SUMS", "HELD", "SEVERAL"))
_SOCKET = records.KINDS.index(Kind.SOCKET)
# Of shared sockets of these sorts, too, no more matters than by whom.
_ALONE = frozenset(sort for sort, name in records.SOCKETS.items() if name not in ("tcp", "udp"))


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
        peers: by task, the other ends of its connections, packed; of established ones a sample, weighted, but of those
            outside all if asked for.
        more_peers: how many of them found no room behind the sums of their task.
        names: of UNIX sockets that listen, by description.
        ranges: of ephemeral ports that single sockets have.
        unlearnt: kinds whose descriptors count as others, and why.
    """

    sums: dict[int, Sums] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    shared_sockets: defaultdict[int, "array[int]"] = field(default_factory=lambda: defaultdict(lambda: array("Q")))
    sharing: Sharing = field(default_factory=Sharing)
    strangers: list[tuple[Stranger, StrangersOf]] = field(default_factory=list)
    budgets: dict[int, Charged] = field(default_factory=dict)
    epoll_watches: dict[int, int] = field(default_factory=dict)
    connections: dict[PortKey, int] = field(default_factory=dict)
    peers: dict[int, bytes] = field(default_factory=dict)
    more_peers: int = 0
    names: dict[int, bytes] = field(default_factory=dict)
    ranges: list[OwnRange] = field(default_factory=list)
    unlearnt: Mapping[Kind, str] = field(default_factory=dict)


class Reader:
    """Takes over what the iterator writes, one pass after the other.

    Sums and listeners are interned: there are few that change between two passes.
    """

    def __init__(self) -> None:
        self._sums: Interned[Sums] = Interned(lambda said: _MAKE_SUMS(_SUMS_LAYOUT.unpack_from(said)))
        self._listeners: Interned[Held] = Interned(_held)

    def begin(self, found: Descriptors) -> Callable[[bytes], None]:
        """Begin a pass; what is returned takes over one piece after the other."""
        self._sums.begin()
        self._listeners.begin()
        read_head, head_size, sums_size = _HEAD.unpack_from, _HEAD.size, _SUMS_LAYOUT.size
        sums, listener = self._sums.of, self._listeners.of
        sums_of, peers, group_of = found.sums, found.peers, found.sharing.group_of
        join, with_member = found.sharing.join, found.sharing.with_member

        def take(piece: bytes) -> None:
            offset, end = 0, len(piece)
            while offset < end:
                tag, size, task, word = read_head(piece, offset)
                if tag == _SEVERAL:
                    join(_FILES[word].unpack_from(piece, offset + head_size), task)
                elif tag == _SUMS:
                    said = piece[offset : offset + size]
                    sums_of[task] = sums(said)
                    if size > sums_size:
                        peers[task] = said[sums_size:]
                elif tag == _HELD:
                    group = group_of.get(word)
                    if group is None:
                        said = piece[offset : offset + size]
                        _sort_in(found, listener(said) if said[_FLAGS] & records.LISTENS else _held(said))
                    group_of[word] = with_member(group or 0, task)
                else:
                    name = Named._make(_NAMED_LAYOUT.unpack_from(piece, offset))
                    found.names[name.file] = name.name[: name.length]
                offset += size

        return take

    def end(self) -> None:
        """End the pass."""
        self._sums.end()
        self._listeners.end()


def _held(said: bytes) -> Held:
    return _MAKE_HELD(_HELD_LAYOUT.unpack(said))


def _sort_in(found: Descriptors, one: Held) -> None:
    if one.flags == records.SHARED and one.kind == _SOCKET and one.socket in _ALONE:
        found.shared_sockets[one.socket].append(one.file)
    else:
        found.held.append(one)
