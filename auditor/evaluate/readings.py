"""How the limits of processes, users and the whole node are read from its usage: one function a limit, named after it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from auditor.evaluate.consumers import SHARES_MAX, fullest_of_each, greatest, of_pods, owner_key, runtime_of
from auditor.model import (
    Limit,
    NodeFacts,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    PoolUsage,
    Reading,
    Share,
    SocketUse,
    Subject,
    TaskLimit,
    TcpState,
    UserUsage,
)
from auditor.model.words import bounded, clean, owner_name

_PATH_BYTES = 200


def process_fds(usage: NodeUsage) -> Iterator[Reading]:
    """RLIMIT_NOFILE binds one process, so the reading of a container is its worst process, never a sum."""
    for row in usage.owners:
        if row.owner.kind is OwnerKind.KERNEL:
            continue
        for container in row.containers:
            worst = container.worst
            if worst is None or worst.lowered_itself:
                continue
            label = container.name or (container.id or "")[:12]
            if row.owner.kind is not OwnerKind.POD:
                label = ""
            yield Reading(
                limit="process-fds",
                key="/".join(filter(None, (owner_key(row), container.name or container.id))),
                scope=" ".join(filter(None, (owner_name(row.owner, row.identity), label))),
                used=worst.fds,
                maximum=worst.soft_limit,
                subject=Subject(row.owner, row.identity, container.name or container.id, worst, container.runtime),
            )


def close_wait(usage: NodeUsage) -> Iterator[Reading]:
    """Sockets in CLOSE_WAIT of each owner against the soft limit of its worst process: each is one of its descriptors."""
    for row in usage.owners:
        tcp = row.sockets.tcp if row.sockets else None
        if row.owner.kind is OwnerKind.KERNEL or row.worst is None:
            continue
        yield Reading(
            limit="close-wait",
            key=owner_key(row),
            scope=owner_name(row.owner, row.identity),
            used=None if tcp is None else tcp.get(TcpState.CLOSE_WAIT, 0),
            maximum=row.worst.soft_limit,
            subject=Subject(row.owner, row.identity, None, row.worst),
        )


def file_handles(usage: NodeUsage) -> Iterator[Reading]:
    """Open file descriptions of the node; by owner where they are exactly known."""
    unprivileged = (row for row in usage.owners if row.uids - {0})
    yield Reading(
        limit="file-handles",
        key="node",
        scope="node",
        used=usage.facts.file_handles,
        maximum=usage.facts.file_max,
        consumers=greatest(usage.owners, lambda row: row.descriptions, processes=usage.most_fds),
        pods=of_pods(usage.owners, lambda row: row.descriptions),
        affected=tuple(Share(row.owner, row.identity) for row in unprivileged)[:SHARES_MAX],
    )


def pids(usage: NodeUsage) -> Iterator[Reading]:
    """Tasks against pid_max, which counts every thread, and against pids.max of each cgroup that has one."""
    yield from _tasks("pids", usage, usage.facts.pid_max)
    rows = {row.owner: row for row in usage.owners}
    yield from fullest_of_each(_of_cgroup(limit, rows) for limit in usage.task_limits)


def _of_cgroup(limit: TaskLimit, rows: Mapping[Owner, OwnerUsage]) -> Reading:
    row = rows.get(limit.owner)
    if row is None or limit.owner.kind is OwnerKind.HOST:
        path = bounded(clean(limit.path), _PATH_BYTES)
        shares = greatest(rows.values(), lambda row: limit.takers.get(row.owner))
        return Reading("pids", f"cgroup{path}", f"cgroup {path}", limit.used, limit.limit, consumers=shares)
    names = {container.id: container.name for container in row.containers if container.id}
    label = names.get(limit.container or "") or limit.container
    return Reading(
        limit="pids",
        key="/".join(filter(None, (owner_key(row), label))),
        scope=" ".join(filter(None, (owner_name(row.owner, row.identity), (label or "")[:63]))),
        used=limit.used,
        maximum=limit.limit,
        subject=Subject(row.owner, row.identity, label, runtime=runtime_of(row)),
    )


def threads(usage: NodeUsage) -> Iterator[Reading]:
    """Tasks against threads-max."""
    yield from _tasks("threads", usage, usage.facts.threads_max)


def pool(
    limit: str, taken: Callable[[SocketUse], int | None] | None = None, unit: str | None = None
) -> Callable[[NodeUsage], Iterator[Reading]]:
    """Return the reader of a pool of the whole node.

    Args:
        limit: id of the limit.
        taken: what an owner's sockets take of it; else whoever is seen to hold something of it takes that.
        unit: what `taken` counts, if that is not what the limit counts.
    """

    def read(usage: NodeUsage) -> Iterator[Reading]:
        for one in usage.pools:
            if one.limit == limit:
                processes = one.greatest if taken is None else {}
                shares = greatest(
                    usage.owners,
                    lambda row, one=one: _taken(one, row),  # type: ignore[misc]
                    unit,
                    processes=processes,
                )
                pods = of_pods(usage.owners, partial(_held_of, one)) if one.takers else {}
                yield _pool(one, shares, pods)

    def _taken(one: PoolUsage, row: OwnerUsage) -> int | None:
        if taken is None:
            return one.takers.get(row.owner)
        return None if row.sockets is None else taken(row.sockets)

    return read


def _held_of(one: PoolUsage, row: OwnerUsage) -> int:
    return one.takers.get(row.owner, 0)


def per_user(
    limit: str, maximum: Callable[[NodeFacts], Limit] = lambda _: None
) -> Callable[[NodeUsage], Iterator[Reading]]:
    """Return the reader of a pool that is kept per user.

    Args:
        limit: id of the limit.
        maximum: what a user may have who has nothing yet. A node where nobody has any reads as the superuser's zero,
            so that the limit is seen to be watched.
    """

    def read(usage: NodeUsage) -> Iterator[Reading]:
        rows = [user for user in usage.users if user.pool == limit]
        if not rows and limit not in usage.missing:
            blind = any(limit in gap.limits for gap in usage.gaps)
            rows = [UserUsage(limit, 0, None if blind else 0, maximum(usage.facts), exact=False)]
        for user in rows:
            yield _of_user(user, usage.owners)

    return read


def _of_user(user: UserUsage, owners: Iterable[OwnerUsage]) -> Reading:
    owners = tuple(owners)
    consumers = greatest(owners, lambda row: user.takers.get(row.owner), processes=user.greatest)
    first = consumers[0].owner if consumers else None
    return Reading(
        limit=user.pool,
        key="/".join(filter(None, (f"user/{user.uid}", user.scope))),
        scope=" ".join(filter(None, (f"user {user.uid}", user.scope))),
        used=user.used,
        maximum=user.limit,
        estimate=not user.exact,
        consumers=consumers,
        pods=of_pods(owners, lambda row: user.takers.get(row.owner, 0) if row.owner in user.members else None),
        affected=tuple(
            Share(row.owner, row.identity, user.takers.get(row.owner))
            for row in owners
            if row.owner in user.members and row.owner != first
        )[:SHARES_MAX],
    )


def _tasks(limit: str, usage: NodeUsage, maximum: Limit) -> Iterator[Reading]:
    yield Reading(
        limit=limit,
        key="node",
        scope="node",
        used=usage.facts.tasks,
        maximum=maximum,
        consumers=greatest(usage.owners, lambda row: row.threads, processes=usage.most_threads),
        pods=of_pods(usage.owners, lambda row: row.threads),
    )


def _pool(one: PoolUsage, consumers: tuple[Share, ...], pods: Mapping[Owner, int]) -> Reading:
    return Reading(
        limit=one.limit,
        key="/".join(filter(None, ("node", one.scope.lower()))),
        scope=" ".join(filter(None, ("node", one.scope))),
        used=one.used,
        maximum=one.maximum,
        estimate=one.estimate,
        pressure=one.pressure,
        consumers=consumers,
        pods=pods,
    )
