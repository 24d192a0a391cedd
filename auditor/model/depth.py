"""One subject in depth: its sockets one by one, with everyone who holds them."""

from dataclasses import dataclass
from typing import NamedTuple

from auditor.model.gap import Gap
from auditor.model.sample import Process, TcpState
from auditor.model.usage import Owner


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
        received: bytes that nobody has read yet; of one that listens, connections that wait.
        sent: bytes that are not acknowledged yet; of one that listens, the backlog.
        drops: of one that listens, what it has dropped.
        left: seconds that a TIME_WAIT has left.
        age: seconds that a CLOSE_WAIT has waited for its program.
        holders: its descriptors; empty for TIME_WAIT, unaccepted and orphaned ones.
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
    holders: tuple[Holder, ...] = ()

    @property
    def listens(self) -> bool:
        """Whether it accepts connections."""
        return self.state is TcpState.LISTEN


@dataclass(frozen=True, slots=True)
class Depth:
    """What was found of one subject.

    Attributes:
        sockets: its own.
        far: the other ends that are on this node, by their own local end, and the namespace of each.
        processes: all of the node, by pid.
        gaps: what could not be seen.
    """

    sockets: tuple[OpenSocket, ...]
    far: dict[tuple[End, End], OpenSocket]
    processes: dict[int, Process]
    host_netns: int | None
    gaps: tuple[Gap, ...]


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
        """Name the owner of a socket: the first who holds it, else who answers for its namespace."""
        for holder in one.holders:
            if holder.pid in self.owners:
                return self.names[self.owners[holder.pid]]
        owner = self.answers_for.get(one.netns)
        return "host" if owner is None else self.names.get(owner, "host")
