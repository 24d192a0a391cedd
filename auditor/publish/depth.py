"""The screen and the JSON of one subject in depth. Text from processes goes through `clean` and into a `Text`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.model import Depth, Holder, Named, OpenSocket, Process
from auditor.model.words import bounded, clean, count, duration, endpoint
from auditor.publish.terminal import new_table

ROWS = 10
_HOLDERS_MAX = 3
_NAME_BYTES = 200


def document(title: str, depth: Depth, named: Named) -> dict[str, Any]:
    """Return all that is known, for a script; nothing is left out."""
    return {
        "subject": title,
        "listeners": [_as_json(one, depth, named) for one in depth.sockets if one.listens],
        "sockets": [_as_json(one, depth, named) for one in depth.sockets if not one.listens],
        "processes": [
            {
                "pid": process.pid,
                "command": process.command,
                "owner": named.names[named.owners[process.pid]],
                "fds": process.fds,
                "softLimit": process.soft_limit if isinstance(process.soft_limit, int) else None,
            }
            for process in _holding(depth)
        ],
        "gaps": [{"id": gap.id, "detail": gap.detail, "count": gap.count} for gap in depth.gaps],
    }


def render(title: str, depth: Depth, named: Named, console: Console, *, all_rows: bool = False) -> None:
    """Print who listens, the connections by state and by peer, each socket, and what could not be seen.

    Args:
        title: of the subject.
        depth: what was found.
        named: names for it.
        console: where to.
        all_rows: every peer and socket, not only the first ten.
    """
    listening = [one for one in depth.sockets if one.listens]
    others = [one for one in depth.sockets if not one.listens]
    console.print(
        Text(f"{clean(title)} · {_many(len(listening), 'listener')} · {_many(len(others), 'socket')}", style="bold")
    )
    if listening:
        console.print()
        console.print(_listeners(listening, others, depth, named))
    if others:
        console.print()
        console.print(_states(others))
        console.print()
        _cut(console, *_peers(others, depth, named, all_rows=all_rows))
        console.print()
        _cut(console, *_sockets(others, depth, all_rows=all_rows))
    if not depth.sockets:
        console.print()
        console.print(Text("No TCP, UDP or listening UNIX socket."))
    for process in _holding(depth):
        limit = count(process.soft_limit) if isinstance(process.soft_limit, int) else "no limit"
        console.print()
        owner = named.names[named.owners[process.pid]]
        fds = "?" if process.fds is None else count(process.fds)
        console.print(Text(f"{process.pid} {clean(process.command)} ({clean(owner)}): {fds} descriptors of {limit}"))
    for gap in depth.gaps:
        console.print(Text(f"not seen: {clean(gap.detail)} ({gap.count or '?'} of them)", style="magenta"))


def _listeners(listening: list[OpenSocket], others: list[OpenSocket], depth: Depth, named: Named) -> Table:
    """One row an address: sockets that share it (SO_REUSEPORT) are one listener."""
    shown = new_table()
    shown.add_column("LISTENER", overflow="ellipsis", no_wrap=True)
    for name in ("QUEUE", "BACKLOG", "DROPS", "CONNECTIONS"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("DESCRIPTOR", overflow="ellipsis", no_wrap=True)
    shown.add_column("OWNER", ratio=1, overflow="ellipsis", no_wrap=True)
    alike = defaultdict(list)
    for one in listening:
        alike[one.netns, one.protocol, one.local].append(one)
    connections = Counter((one.netns, one.local.port) for one in others if one.peer and one.protocol == "tcp")
    for (netns, protocol, local), several in alike.items():
        fullest = max(several, key=lambda one: one.received)
        drops = [one.drops for one in several if one.drops is not None]
        holders = tuple(holder for one in several for holder in one.holders)
        shown.add_row(
            Text(_where(several[0])),
            Text(count(fullest.received)),
            Text(count(fullest.sent)),
            Text(count(sum(drops)) if drops else "-"),
            Text("-" if protocol == "unix" else count(connections[netns, local.port])),
            Text(_held(holders, depth)),
            Text(clean(named.of(several[0]))),
        )
    return shown


def _states(others: list[OpenSocket]) -> Table:
    shown = new_table()
    shown.add_column("STATE", no_wrap=True)
    for name in ("SOCKETS", "NOT READ", "NOT SENT", "WITHOUT A DESCRIPTOR"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("", ratio=1)
    by_state = defaultdict(list)
    for one in others:
        by_state[_state(one)].append(one)
    for state, several in sorted(by_state.items(), key=lambda item: -len(item[1])):
        shown.add_row(
            Text(state),
            Text(count(len(several))),
            Text(f"{count(sum(one.received for one in several))} B"),
            Text(f"{count(sum(one.sent for one in several))} B"),
            Text(count(sum(not one.holders for one in several))),
        )
    return shown


def _peers(others: list[OpenSocket], depth: Depth, named: Named, *, all_rows: bool) -> tuple[Table, int]:
    """One row for each peer: a client by its address, a server by address and port."""
    served = {(one.netns, one.local.port) for one in depth.sockets if one.listens}
    by_peer: defaultdict[str, list[OpenSocket]] = defaultdict(list)
    for one in others:
        if one.peer:
            client = (one.netns, one.local.port) in served
            by_peer[one.peer.address if client else endpoint(*one.peer)].append(one)
    shown = new_table()
    shown.add_column("PEER", overflow="ellipsis", no_wrap=True)
    shown.add_column("SOCKETS", justify="right", no_wrap=True)
    shown.add_column("STATES", overflow="ellipsis", no_wrap=True)
    shown.add_column("WHO", ratio=1, overflow="ellipsis", no_wrap=True)
    rows = sorted(by_peer.items(), key=lambda item: (-len(item[1]), item[0]))
    for peer, several in rows if all_rows else rows[:ROWS]:
        states = Counter(map(_state, several))
        names = Counter(named.of(far) for one in several if (far := _far(one, depth)))
        shown.add_row(
            Text(clean(peer)),
            Text(count(len(several))),
            Text(", ".join(f"{count(number)} {state}" for state, number in states.most_common())),
            Text(", ".join(clean(name) for name, _ in names.most_common(_HOLDERS_MAX))),
        )
    return shown, 0 if all_rows else max(0, len(rows) - ROWS)


def _sockets(others: list[OpenSocket], depth: Depth, *, all_rows: bool) -> tuple[Table, int]:
    """One row a socket, those with most in their queues first."""
    shown = new_table()
    for name in ("LOCAL", "PEER"):
        shown.add_column(name, overflow="ellipsis", no_wrap=True)
    shown.add_column("STATE", no_wrap=True)
    for name in ("NOT READ", "NOT SENT"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("DESCRIPTOR", ratio=1, overflow="ellipsis", no_wrap=True)
    rows = sorted(others, key=lambda one: (-(one.received + one.sent), one.local, one.peer or one.local))
    for one in rows if all_rows else rows[:ROWS]:
        left = "" if one.left is None else f" {one.left:.0f} s left"
        left += "" if one.age is None else f" for {duration(one.age)}"
        shown.add_row(
            Text(_where(one)),
            Text(endpoint(*one.peer) if one.peer else "-"),
            Text(_state(one) + left),
            Text(count(one.received)),
            Text(count(one.sent)),
            Text(_held(one.holders, depth)),
        )
    return shown, 0 if all_rows else max(0, len(rows) - ROWS)


def _cut(console: Console, shown: Table, left_out: int) -> None:
    console.print(shown)
    if left_out:
        console.print(Text(f"({count(left_out)} more: --all)", style="dim"))


def _far(one: OpenSocket, depth: Depth) -> OpenSocket | None:
    return depth.far.get((one.peer, one.local)) if one.peer else None


def _state(one: OpenSocket) -> str:
    return one.protocol.upper() if one.state is None else one.state.name


def _where(one: OpenSocket) -> str:
    if one.protocol == "unix":
        return bounded(f"unix:{clean(one.local.address)}", _NAME_BYTES)
    return endpoint(*one.local) if one.protocol == "tcp" else f"udp {endpoint(*one.local)}"


def _held(holders: Iterable[Holder], depth: Depth) -> str:
    """As in `fd 7 of 4123 nginx, fd 7 of 4124 nginx and 6 more`."""
    several = list(holders)
    words = [
        f"fd {holder.fd} of {holder.pid} {clean(depth.processes[holder.pid].command)}"
        for holder in several[:_HOLDERS_MAX]
        if holder.pid in depth.processes
    ]
    more = f" and {count(len(several) - _HOLDERS_MAX)} more" if len(several) > _HOLDERS_MAX else ""
    return ", ".join(words) + more if words else "none"


def _holding(depth: Depth) -> Iterator[Process]:
    pids = {holder.pid for one in depth.sockets for holder in one.holders}
    for pid in sorted(pids)[:ROWS]:
        if pid in depth.processes:
            yield depth.processes[pid]


def _many(number: int, one: str) -> str:
    return f"{count(number)} {one}{'' if number == 1 else 's'}"


def _as_json(one: OpenSocket, depth: Depth, named: Named) -> dict[str, Any]:
    far = _far(one, depth)
    row: dict[str, Any] = {
        "protocol": one.protocol,
        "state": None if one.state is None else one.state.name,
        "local": one.local._asdict(),
        "peer": one.peer._asdict() if one.peer else None,
        "peerOwner": named.of(far) if far else None,
        "owner": named.of(one),
        "descriptors": [
            {"pid": holder.pid, "fd": holder.fd, "command": depth.processes[holder.pid].command}
            for holder in one.holders
            if holder.pid in depth.processes
        ],
    }
    if one.listens:
        return row | {"queue": one.received, "backlog": one.sent, "drops": one.drops}
    return row | {"notRead": one.received, "notSent": one.sent, "secondsLeft": one.left, "seconds": one.age}
