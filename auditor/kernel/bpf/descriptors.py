"""One pass over all descriptors: what the programs write down, record by record."""

import struct
from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from auditor.kernel.bpf import records
from auditor.kernel.bpf.records import (
    Charged,
    Held,
    Named,
    OwnRange,
    Peer,
    PeerOf,
    PortKey,
    Stranger,
    StrangersOf,
    Sums,
    layout,
    makes,
)
from auditor.kernel.bpf.sharing import Sharing
from auditor.model import Kind

_HEAD = struct.Struct("=IIQ")  # of every record: tag, pid, and the number of a `Several` or the file of a `Held`
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
        more_peers: those of tasks that have very many.
        names: of UNIX sockets that listen, by description.
        ranges: of ephemeral ports that single sockets have.
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
    more_peers: list[tuple[PeerOf, int]] = field(default_factory=list)
    names: dict[int, bytes] = field(default_factory=dict)
    ranges: list[OwnRange] = field(default_factory=list)


def taker(found: Descriptors) -> Callable[[bytes], None]:
    """Return what takes over one piece after the other of what the iterator writes."""
    held, sums, named = layout(Held), layout(Sums), layout(Named)
    head, read_held, read_sums = _HEAD.unpack_from, held.unpack_from, sums.unpack_from
    head_size, held_size, sums_size, peer_size = _HEAD.size, held.size, sums.size, layout(Peer).size
    make_held, make_sums = makes(Held), makes(Sums)
    sums_of, peers, group_of = found.sums, found.peers, found.sharing.group_of
    join, with_member = found.sharing.join, found.sharing.with_member

    def take(piece: bytes) -> None:
        offset, end = 0, len(piece)
        while offset < end:
            tag, task, word = head(piece, offset)
            if tag == _SEVERAL:
                files = _FILES[word]
                join(files.unpack_from(piece, offset + head_size), task)
                offset += head_size + files.size
            elif tag == _SUMS:
                one = sums_of[task] = make_sums(read_sums(piece, offset))
                offset += sums_size
                if one.peers:
                    begun, offset = offset, offset + one.peers * peer_size
                    peers[task] = piece[begun:offset]
            elif tag == _HELD:
                group = group_of.get(word)
                if group is None:
                    thing = make_held(read_held(piece, offset))
                    if thing.flags == records.SHARED and thing.kind == _SOCKET and thing.socket in _ALONE:
                        found.shared_sockets[thing.socket].append(word)
                    else:
                        found.held.append(thing)
                group_of[word] = with_member(group or 0, task)
                offset += held_size
            else:
                name = Named._make(named.unpack_from(piece, offset))
                found.names[name.file] = name.name[: name.length]
                offset += named.size

    return take
