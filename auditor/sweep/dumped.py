"""What a dump of sockets tells, in little memory."""

import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from auditor.kernel.diag import InetRow
from auditor.model import PortUse

End = tuple[int, bytes]
"""Port, and address in network order."""


@dataclass(slots=True)
class Sockets:
    """Sockets of one protocol, column by column, for there may be hundreds of thousands.

    Attributes:
        states: as the kernel numbers them.
        inodes: 0 where no descriptor holds the socket.
        queued: bytes.
        peers: indices of `ends`; empty where nobody asked.
        ends: the other end of connections, each once: the peer's address, and its port (0 where the peer is a client).
    """

    states: bytearray = field(default_factory=bytearray)
    inodes: "array[int]" = field(default_factory=lambda: array("Q"))
    queued: "array[int]" = field(default_factory=lambda: array("Q"))
    peers: "array[int]" = field(default_factory=lambda: array("L"))
    ends: tuple[End, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int]]) -> "Sockets":
        """Take over (state, inode, queued bytes) of each."""
        sockets = cls()
        sockets.extend(rows)
        return sockets

    def extend(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Take over more."""
        for state, inode, queued in rows:
            self.states.append(state)
            self.inodes.append(inode)
            self.queued.append(queued)

    def name_peers(self, ends: Iterable[End]) -> None:
        """Take over the other end of each socket."""
        known: dict[End, int] = {}
        self.peers = array("L", [known.setdefault(end, len(known)) for end in ends])
        self.ends = tuple(known)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return zip(self.states, self.inodes, self.queued, strict=True)

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True, slots=True)
class TcpDump:
    """What a dump of TCP sockets told.

    Attributes:
        connections: established ones by the local port and address of a listener.
        seconds: of CPU it took.
        at: when, in seconds of the monotonic clock; `None` where none was needed.
        ports: where the most ephemeral ports went; `None` where nobody asked.
        queueing: sockets with much in their queues.
        mini_sockets: that were counted and not listed.
    """

    sockets: Sockets
    connections: Mapping[End, int]
    seconds: float = 0.0
    at: float | None = None
    ports: tuple[PortUse, ...] | None = None
    queueing: tuple[InetRow, ...] = ()
    mini_sockets: int = 0

    @property
    def age(self) -> float:
        """Seconds since."""
        return 0.0 if self.at is None else time.monotonic() - self.at
