"""From a recorded status back to usage and readings, each with the owner that it is about."""

from collections.abc import Iterator

from auditor.evaluate import LIMITS, LimitRow
from auditor.model import (
    UNLIMITED,
    ContainerUsage,
    Gap,
    Kind,
    Limit,
    NodeFacts,
    NodeTotals,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    PodIdentity,
    ProcessUse,
    Reading,
    SocketUse,
    Subject,
    TcpState,
)
from auditor.model.words import owner_name
from auditor.publish import object as shape
from auditor.replay.status import Status

_ROWS = {row.id: row for row in LIMITS}
_OF_PROCESSES = _ROWS["process-fds"]
_NOBODY = NodeTotals(0, None, 0, 0, None, None, None, None)


def usage_of(status: Status, now: float) -> NodeUsage:
    """Return what each owner held, as far as it was recorded."""
    rows = [row for row in status.limits if row.name == _OF_PROCESSES.id]
    owners, unknown = [], 0
    everyone: list[shape.Pod | shape.Other] = [*status.pods, *status.others]
    for held in everyone:
        owner, identity = _who(held)
        name = owner_name(owner, identity)
        row = next((row for row in rows if _is_of(row.scope, name)), None)
        one = _owner(held, owner, identity, row)
        unknown += row is not None and one.worst is None
        owners.append(one)
    return NodeUsage(now, NodeFacts(), _NOBODY, tuple(owners), gaps=tuple(_gaps(status, unknown)))


def readings_of(status: Status, usage: NodeUsage) -> Iterator[tuple[LimitRow, Reading]]:
    """Take the readings of processes from the owners, for only the fullest is among the limits, and the rest from the limits."""
    named = set()
    for reading in _OF_PROCESSES.read(usage):
        named.add(owner_name(reading.subject.owner, reading.subject.identity))
        yield _OF_PROCESSES, reading
    owners = {owner_name(row.owner, row.identity): row for row in usage.owners}
    for one in status.limits:
        row = _ROWS.get(one.name)
        if row is None or (row is _OF_PROCESSES and any(_is_of(one.scope, name) for name in named)):
            continue
        subject = _subject(row, one.scope, owners)
        yield row, Reading(one.name, one.scope, one.scope, one.used, _maximum(one), subject, bool(one.estimate))


def _gaps(status: Status, unknown: int) -> Iterator[Gap]:
    """Yield what was not seen, as it was recorded, and the processes of which only the limit was."""
    for one in status.coverage.gaps:
        yield Gap(one.id, one.detail, one.count, frozenset(one.limits))
    if unknown:  # no agent writes so, but other tools may
        yield Gap("unknown-use", "recorded without their use", unknown, frozenset({_OF_PROCESSES.id}))


def _who(held: shape.Pod | shape.Other) -> tuple[Owner, PodIdentity | None]:
    if isinstance(held, shape.Other):
        return Owner(OwnerKind(held.kind), held.name or ""), None
    identity = PodIdentity(held.namespace, held.name, held.uid) if held.namespace and held.name else None
    return Owner(OwnerKind.POD, held.uid), identity


def _is_of(scope: str, name: str) -> bool:
    """Whether a scope is an owner's: its name, and perhaps a container, an address or a destination after it."""
    return scope == name or scope.startswith(f"{name} ")


def _subject(row: LimitRow, scope: str, owners: dict[str, OwnerUsage]) -> Subject:
    """Find whom a reading is about. The host's own network is the node's, its processes and listeners are the host's."""
    words = scope.split(" ")
    known = next((owners[name] for end in (1, 2) if (name := " ".join(words[:end])) in owners), None)
    if known is None:
        return _unlisted(words) if row is _OF_PROCESSES else Subject()
    if known.owner.kind is OwnerKind.HOST and row.id not in ("listen-backlog", _OF_PROCESSES.id):
        return Subject()
    return Subject(known.owner, known.identity)


def _unlisted(words: list[str]) -> Subject:
    """Return the owner of a process that only its limit tells of: an agent lists the pods under most pressure."""
    first, *more = words
    namespace, found, name = first.partition("/")
    if found:
        container = more[0] if more else None
        return Subject(Owner(OwnerKind.POD, first), PodIdentity(namespace, name, first), container)
    if first in ("pod", "container") and more:
        return Subject(Owner(OwnerKind(first.capitalize()), more[0]))
    return Subject(Owner(OwnerKind.HOST) if first == "host" else Owner(OwnerKind.UNIT, first))


def _owner(
    held: shape.Pod | shape.Other, owner: Owner, identity: PodIdentity | None, row: shape.LimitUse | None
) -> OwnerUsage:
    worst = held.worst_process
    fds = worst.fds if worst else row.used if row else held.fds
    process = None
    if fds is not None:
        process = ProcessUse(
            pid=worst.pid if worst else 0,
            start=0,
            command=worst.command if worst else "",
            fds=fds,
            soft_limit=_first(worst.soft_limit if worst else None, row.limit if row else None),
            hard_limit=worst.hard_limit if worst else None,
        )
    container = worst.container if worst else None
    tcp = held.sockets.tcp if held.sockets else None
    return OwnerUsage(
        owner=owner,
        identity=identity,
        processes=1,
        threads=None,
        fds=held.fds,
        descriptions=held.open_descriptions,
        kinds={kind: getattr(held.kinds, kind.value) for kind in Kind} if held.kinds else None,
        sockets=SocketUse({state: getattr(tcp, state.name.lower()) or 0 for state in TcpState}, None, None, None)
        if tcp
        else None,
        own_netns=isinstance(held, shape.Pod) and not held.host_network,
        worst=process,
        containers=(ContainerUsage(container, container, held.fds, process),) if process else (),
    )


def _first(*figures: int | None) -> int | None:
    return next((figure for figure in figures if figure is not None), None)


def _maximum(one: shape.LimitUse) -> Limit:
    return UNLIMITED if one.limit_state == "Unlimited" else one.limit
