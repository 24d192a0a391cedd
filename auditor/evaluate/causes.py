"""What is behind growth: the kind of descriptor that grows; of sockets, the state most are in and who is at the other end."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.evaluate.network import pods_by_address
from auditor.model import LEAST_OF_A_SAMPLE, Kind, NodeUsage, OwnerUsage, Peer, Reading, TcpState
from auditor.model.words import clean, endpoint
from auditor.remember import Composition, History

_LEAST_GROWTH = 5  # descriptors; less says nothing of what grows


@dataclass(frozen=True, slots=True)
class Cause:
    """What grows in an owner.

    Attributes:
        kind: of most of the growth; `None` where no kind has half of it, or nothing is known of kinds.
        percent: its share.
        grown: whether that is a share of the growth, not of all there is.
        state: that at least half as many TCP sockets are in.
        peers: the other ends of most sockets in that state, as written; the most frequent first.
    """

    kind: Kind | None = None
    percent: int = 0
    grown: bool = False
    state: TcpState | None = None
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Causes:
    """Finds causes in one moment and what came before it."""

    owners: Mapping[object, OwnerUsage]
    names: Mapping[str, str]
    history: History

    @classmethod
    def of_node(cls, usage: NodeUsage, history: History) -> "Causes":
        """Look at one node. Peers that are pods of this node get their names."""
        return cls({row.owner: row for row in usage.owners}, pods_by_address(usage), history)

    def of(self, reading: Reading, since: float, state: TcpState | None = None) -> Cause:
        """Tell the cause of growth of a reading.

        Args:
            reading: what grows; its subject is whose.
            since: when the growth began.
            state: what grows is sockets in this state, that much is known.
        """
        owner = self.owners.get(reading.subject.owner)
        if owner is None:
            return Cause(state=state)
        if state is not None:
            return Cause(Kind.SOCKET, state=state, peers=self._peers(owner, state))
        kinds = owner.kinds or {}
        growth = self.history.compositions.get(owner.owner, Composition()).growth(kinds, since)
        growth = {kind: number for kind, number in growth.items() if number > 0}
        grown = sum(growth.values()) >= _LEAST_GROWTH
        parts = growth if grown else kinds
        total = sum(parts.values())
        kind = max(parts, key=lambda one: parts[one], default=None)
        if kind is None or 2 * parts[kind] < total:
            return Cause()
        state = _state(owner, parts[kind]) if kind is Kind.SOCKET else None
        return Cause(kind, parts[kind] * 100 // total, grown, state, self._peers(owner, state))

    def _peers(self, owner: OwnerUsage, state: TcpState | None) -> tuple[str, ...]:
        use = owner.sockets
        if use is None or use.tcp is None or state is None:
            return ()
        # One that has less than a tenth is no cause, and a crowd of such is a crowd. Nor is a single one of a sample.
        return tuple(
            self._peer(one)
            for one in use.peers.get(state, ())
            if 10 * one.count >= use.tcp.get(state, 0) and (one.each == 1 or one.looked_at >= LEAST_OF_A_SAMPLE)
        )

    def _peer(self, peer: Peer) -> str:
        where = endpoint(peer.address, peer.port) if peer.port else peer.address
        name = self.names.get(peer.address)
        return f"{where} ({clean(name)})" if name else where


def _state(owner: OwnerUsage, sockets: int) -> TcpState | None:
    """Return the state most TCP sockets with a descriptor are in, if those are at least half of the sockets in question."""
    tcp = owner.sockets.tcp if owner.sockets else None
    held = {state: number for state, number in (tcp or {}).items() if state is not TcpState.TIME_WAIT}
    state = max(held, key=lambda one: held[one], default=None)
    return state if state is not None and 2 * held[state] >= sockets else None
