"""The JSON of one subject in depth: all that is known, for a script; nothing is left out."""

from typing import Any

from auditor.model import Depth, Named, OpenSocket


def document(title: str, depth: Depth, named: Named) -> dict[str, Any]:
    """Return it."""
    return {
        "subject": title,
        "listeners": [_socket(one, depth, named) for one in depth.sockets if one.listens],
        "sockets": [_socket(one, depth, named) for one in depth.sockets if not one.listens],
        "processes": [
            {
                "pid": process.pid,
                "command": process.command,
                "owner": named.names[named.owners[process.pid]],
                "fds": process.fds,
                "softLimit": process.soft_limit if isinstance(process.soft_limit, int) else None,
            }
            for process in depth.concerned()
        ],
        "gaps": [{"id": gap.id, "detail": gap.detail, "count": gap.count} for gap in depth.gaps],
    }


def _socket(one: OpenSocket, depth: Depth, named: Named) -> dict[str, Any]:
    far = depth.far_end(one)
    holders = None
    if one.holders is not None:
        holders = [
            {"pid": holder.pid, "fd": holder.fd, "command": depth.processes[holder.pid].command}
            for holder in one.holders
            if holder.pid in depth.processes
        ]
    row: dict[str, Any] = {
        "protocol": one.protocol,
        "netns": one.netns,
        "state": None if one.state is None else one.state.name,
        "local": one.local._asdict(),
        "peer": one.peer._asdict() if one.peer else None,
        "peerOwner": named.of(far) if far else None,
        "owner": named.of(one),
        "descriptors": holders,
        "drops": one.drops,
    }
    if one.accepts:
        return row | {"queue": one.received, "backlog": one.sent}
    return row | {"notRead": one.received, "notSent": one.sent, "secondsLeft": one.left, "seconds": one.age}
