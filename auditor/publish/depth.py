"""The screen of one subject in depth. Text from processes goes through `clean` and into a `Text`."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.model import Depth, End, Holder, Named, OpenSocket, TcpState
from auditor.model.words import bounded, clean, count, duration, endpoint
from auditor.publish.terminal import new_table

ROWS = 10
_HOLDERS_MAX = 3
_NAME_BYTES = 200
_ANY = frozenset({"0.0.0.0", "::"})


def render(title: str, depth: Depth, named: Named, console: Console, *, all_rows: bool = False) -> None:
    """Print who listens, the connections by state and by peer, each socket, and what could not be seen.

    Args:
        title: of the subject.
        depth: what was found.
        named: names for it.
        console: where to.
        all_rows: every peer and socket, not only the first ten.
    """
    screen = _Screen(depth, named, console, all_rows=all_rows)
    others = [one for one in depth.sockets if not one.listens]
    listeners = _alike(depth.sockets)
    accepting = sum(several[0].accepts for several in listeners.values())
    parts = [clean(title), _many(accepting, "listener")]
    parts += [_many(len(listeners) - accepting, "UDP receiver")] if len(listeners) > accepting else []
    console.print(Text(" · ".join([*parts, _many(len(others), "socket")]), style="bold"))
    if listeners:
        screen.listeners(listeners, others)
    if others:
        screen.states(others)
        screen.peers(others)
        screen.sockets(others)
    if not depth.sockets:
        console.print()
        console.print(Text("No TCP, UDP or listening UNIX socket."))
    screen.processes()
    for gap in depth.gaps:
        number = "" if gap.count is None else f" ({count(gap.count)})"
        console.print(Text(f"not seen: {clean(gap.detail)}{number}", style="magenta"))


class _Place(NamedTuple):
    """Where sockets stand that share an address (SO_REUSEPORT): one listener."""

    netns: int
    protocol: str
    local: End


def _alike(sockets: Iterable[OpenSocket]) -> dict[_Place, list[OpenSocket]]:
    alike = defaultdict(list)
    for one in sockets:
        if one.listens:
            alike[_Place(one.netns, one.protocol, one.local)].append(one)
    return dict(alike)


@dataclass(frozen=True, slots=True)
class _Screen:
    depth: Depth
    named: Named
    console: Console
    all_rows: bool

    @property
    def several(self) -> bool:
        """Whether sockets are of several network namespaces, in which the same addresses are others."""
        return len({one.netns for one in self.depth.sockets}) > 1

    def listeners(self, alike: dict[_Place, list[OpenSocket]], others: list[OpenSocket]) -> None:
        """One row an address."""
        shown = self._table("LISTENER", ["QUEUE", "BACKLOG", "DROPS", "CONNECTIONS"], ["DESCRIPTOR", "OWNER"])
        established = [one for one in others if one.peer and one.state is TcpState.ESTABLISHED]
        connections = Counter((one.netns, one.local) for one in established)
        of_port = Counter((one.netns, one.local.port) for one in established)
        for (netns, _, local), several in alike.items():
            fullest = max(several, key=lambda one: one.received)
            drops = [one.drops for one in several if one.drops is not None]
            served = of_port[netns, local.port] if local.address in _ANY else connections[netns, local]
            shown.add_row(
                Text(_where(fullest)),
                *self._netns(netns),
                Text(count(fullest.received) if fullest.accepts else f"{count(fullest.received)} B"),
                Text(count(fullest.sent) if fullest.accepts else "-"),
                Text(count(sum(drops)) if drops else "-"),
                Text(count(served) if fullest.protocol == "tcp" else "-"),
                Text(self._held(several)),
                Text(clean(self.named.of(fullest))),
            )
        self._print(shown)

    def states(self, others: list[OpenSocket]) -> None:
        """One row a state."""
        shown = new_table()
        shown.add_column("STATE", no_wrap=True)
        for name in ("SOCKETS", "NOT READ", "NOT SENT", "WITHOUT A DESCRIPTOR"):
            shown.add_column(name, justify="right", no_wrap=True)
        shown.add_column("", ratio=1)
        by_state = defaultdict(list)
        for one in others:
            by_state[_state(one)].append(one)
        for state, several in sorted(by_state.items(), key=lambda item: -len(item[1])):
            unknown = any(one.holders is None for one in several)
            shown.add_row(
                Text(state),
                Text(count(len(several))),
                Text(f"{count(sum(one.received for one in several))} B"),
                Text(f"{count(sum(one.sent for one in several))} B"),
                Text("?" if unknown else count(sum(not one.holders for one in several))),
            )
        self._print(shown)

    def peers(self, others: list[OpenSocket]) -> None:
        """One row for each peer: a client by its address, a server by address and port."""
        served = {(one.netns, one.local.port) for one in self.depth.sockets if one.listens}
        by_peer: defaultdict[tuple[str, int], list[OpenSocket]] = defaultdict(list)
        for one in others:
            if one.peer:
                client = (one.netns, one.local.port) in served
                by_peer[one.peer.address if client else endpoint(*one.peer), one.netns].append(one)
        shown = self._table("PEER", ["SOCKETS"], ["STATES", "WHO"])
        rows = sorted(by_peer.items(), key=lambda item: (-len(item[1]), item[0]))
        for (peer, netns), several in rows if self.all_rows else rows[:ROWS]:
            states = Counter(map(_state, several))
            names = Counter(self.named.of(far) for one in several if (far := self.depth.far_end(one)))
            shown.add_row(
                Text(clean(peer)),
                *self._netns(netns),
                Text(count(len(several))),
                Text(", ".join(f"{count(number)} {state}" for state, number in states.most_common())),
                Text(", ".join(clean(name) for name, _ in names.most_common(_HOLDERS_MAX))),
            )
        self._print(shown, len(rows))

    def sockets(self, others: list[OpenSocket]) -> None:
        """One row a socket, those with most in their queues first."""
        datagrams = any(one.drops is not None for one in others)
        numbers = ["NOT READ", "NOT SENT"] + (["DROPS"] if datagrams else [])
        shown = self._table("LOCAL", [], ["PEER", "STATE"])
        for name in numbers:
            shown.add_column(name, justify="right", no_wrap=True)
        shown.add_column("DESCRIPTOR", overflow="ellipsis", no_wrap=True)
        shown.add_column("OWNER", ratio=1, overflow="ellipsis", no_wrap=True)
        rows = sorted(others, key=lambda one: (-(one.received + one.sent), one.local, one.peer or one.local))
        for one in rows if self.all_rows else rows[:ROWS]:
            left = "" if one.left is None else f" {one.left:.0f} s left"
            left += "" if one.age is None else f" for {duration(one.age)}"
            drops = [Text("-" if one.drops is None else count(one.drops))] if datagrams else []
            shown.add_row(
                Text(_where(one)),
                *self._netns(one.netns),
                Text(endpoint(*one.peer) if one.peer else "-"),
                Text(_state(one) + left),
                Text(count(one.received)),
                Text(count(one.sent)),
                *drops,
                Text(self._held([one])),
                Text(clean(self.named.of(one))),
            )
        self._print(shown, len(rows))

    def processes(self) -> None:
        """One line for each of the first processes that are concerned."""
        concerned = self.depth.concerned()
        for process in concerned[:ROWS]:
            limit = count(process.soft_limit) if isinstance(process.soft_limit, int) else "no limit"
            owner = self.named.names[self.named.owners[process.pid]]
            fds = "?" if process.fds is None else count(process.fds)
            line = f"{process.pid} {clean(process.command)} ({clean(owner)}): {fds} descriptors of {limit}"
            self.console.print()
            self.console.print(Text(line))
        if len(concerned) > ROWS:
            self.console.print(Text(f"({count(len(concerned) - ROWS)} more processes)", style="dim"))

    def _table(self, first: str, numbers: Iterable[str], rest: Iterable[str]) -> Table:
        shown = new_table()
        for name in [first, "NETNS"] if self.several else [first]:
            shown.add_column(name, overflow="ellipsis", no_wrap=True)
        for name in numbers:
            shown.add_column(name, justify="right", no_wrap=True)
        for name in rest:
            shown.add_column(name, ratio=1 if name in ("OWNER", "WHO") else None, overflow="ellipsis", no_wrap=True)
        return shown

    def _netns(self, inode: int) -> list[Text]:
        if not self.several:
            return []
        return [Text("host" if inode == self.depth.host_netns else str(inode))]

    def _held(self, several: Iterable[OpenSocket]) -> str:
        """As in `fd 7 of 4123 nginx, fd 7 of 4124 nginx and 6 more`; `?` where not all descriptors could be looked at."""
        several = list(several)
        holders: list[Holder] = [holder for one in several for holder in one.holders or ()]
        words = [
            f"fd {holder.fd} of {holder.pid} {clean(self.depth.processes[holder.pid].command)}"
            for holder in holders[:_HOLDERS_MAX]
            if holder.pid in self.depth.processes
        ]
        more = f" and {count(len(holders) - _HOLDERS_MAX)} more" if len(holders) > _HOLDERS_MAX else ""
        unknown = any(one.holders is None for one in several)
        return ", ".join(words) + more if words else "?" if unknown else "none"

    def _print(self, shown: Table, rows: int = 0) -> None:
        self.console.print()
        self.console.print(shown)
        if rows > ROWS and not self.all_rows:
            self.console.print(Text(f"({count(rows - ROWS)} more: --all)", style="dim"))


def _state(one: OpenSocket) -> str:
    return one.protocol.upper() if one.state is None else one.state.name


def _where(one: OpenSocket) -> str:
    if one.protocol == "unix":
        return bounded(f"unix:{clean(one.local.address)}", _NAME_BYTES)
    return endpoint(*one.local) if one.protocol == "tcp" else f"udp {endpoint(*one.local)}"


def _many(number: int, one: str) -> str:
    return f"{count(number)} {one}{'' if number == 1 else 's'}"
