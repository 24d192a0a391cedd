"""One subject in depth: its sockets one by one, with everyone who holds them."""

from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from auditor.model.gap import Gap
from auditor.model.sample import Process, TcpState
from auditor.model.usage import Owner, OwnerKind

_LOOPBACK = ("127.", "::1")


class End(NamedTuple):
    """An address and a port."""

    address: str
    port: int


class Holder(NamedTuple):
    """A descriptor that refers to a socket."""

    pid: int
    fd: int


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """A TCP, UDP or listening UNIX socket.

    Attributes:
        netns: inode of its network namespace.
        protocol: "tcp", "udp" or "unix".
        state: TCP state; LISTEN also of UNIX sockets; `None` of UDP.
        local: of a UNIX socket its name, with port 0.
        peer: `None` where it is connected to nobody.
        received: bytes that nobody has read yet; of one that accepts connections, those that wait.
        sent: bytes that are not acknowledged yet; of one that accepts connections, the backlog.
        drops: what it has dropped so far: connections of one that listens, datagrams of UDP.
        left: seconds that a TIME_WAIT has left.
        age: seconds that a CLOSE_WAIT has waited for its program.
        holders: its descriptors; empty for TIME_WAIT, unaccepted and orphaned ones; `None` where none was found, but not
            all descriptors could be looked at.
    """

    netns: int
    protocol: str
    state: TcpState | None
    local: End
    peer: End | None
    received: int
    sent: int
    drops: int | None = None
    left: float | None = None
    age: float | None = None
    holders: tuple[Holder, ...] | None = ()

    @property
    def accepts(self) -> bool:
        """Whether it accepts connections."""
        return self.state is TcpState.LISTEN

    @property
    def listens(self) -> bool:
        """Whether anybody may send to it: it accepts connections, or is a UDP socket that is connected to nobody."""
        return self.accepts or (self.protocol == "udp" and self.peer is None)


@dataclass(frozen=True, slots=True)
class Depth:
    """What was found of one subject.

    Attributes:
        sockets: its own.
        far: the other ends that are on this node, by their own local end: several where namespaces use the same addresses.
        processes: all of the node, by pid.
        pids: of the subject's own processes, where it is made of processes.
        gaps: what could not be seen.
    """

    sockets: tuple[OpenSocket, ...]
    far: dict[tuple[End, End], tuple[OpenSocket, ...]]
    processes: dict[int, Process]
    host_netns: int | None
    gaps: tuple[Gap, ...]
    pids: frozenset[int] = frozenset()

    def far_end(self, one: OpenSocket) -> OpenSocket | None:
        """Return the other end of a connection, if it is on this node. A loopback address leads out of no namespace."""
        if one.peer is None:
            return None
        ends = self.far.get((one.peer, one.local), ())
        at_home = (end for end in ends if end.netns == one.netns)
        abroad = () if one.peer.address.startswith(_LOOPBACK) else ends
        return next(chain(at_home, abroad), None)

    def concerned(self) -> list[Process]:
        """Return the processes that are the subject, or hold a socket of it."""
        pids = {holder.pid for one in self.sockets for holder in one.holders or ()} | self.pids
        return [self.processes[pid] for pid in sorted(pids) if pid in self.processes]


@dataclass(frozen=True, slots=True)
class Named:
    """Names for a `Depth`.

    Attributes:
        owners: by pid.
        answers_for: owners by network namespace.
        names: of owners, for a person.
    """

    owners: dict[int, Owner]
    answers_for: dict[int, Owner]
    names: dict[Owner, str]

    def of(self, one: OpenSocket) -> str:
        """Name the owner of a socket: the first who holds it, else who answers for its namespace; `?` where nobody can tell."""
        for holder in one.holders or ():
            if holder.pid in self.owners:
                return self.names[self.owners[holder.pid]]
        owner = self.answers_for.get(one.netns)
        if one.holders is None and (owner is None or owner.kind is OwnerKind.HOST):
            return "?"
        return "host" if owner is None else self.names.get(owner, "host")
