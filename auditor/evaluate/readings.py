"""How each limit is read from a node's usage: one function a limit, named after it."""

from collections.abc import Callable, Iterable, Iterator

from auditor.model import (
    Limit,
    NetnsUsage,
    NodeUsage,
    OwnerKind,
    OwnerUsage,
    PoolUsage,
    Reading,
    Share,
    Subject,
    UserUsage,
)
from auditor.model.words import owner_name

SHARES_MAX = 5


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
                key="/".join(filter(None, (_owner_key(row), container.name or container.id))),
                scope=" ".join(filter(None, (owner_name(row.owner, row.identity), label))),
                used=worst.fds,
                maximum=worst.soft_limit,
                subject=Subject(row.owner, row.identity, container.name or container.id, worst),
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
        consumers=_greatest(usage.owners, lambda row: row.descriptions),
        affected=tuple(Share(row.owner, row.identity) for row in unprivileged)[:SHARES_MAX],
    )


def pids(usage: NodeUsage) -> Iterator[Reading]:
    """Tasks against pid_max, which counts every thread."""
    yield from _tasks("pids", usage, usage.facts.pid_max)


def threads(usage: NodeUsage) -> Iterator[Reading]:
    """Tasks against threads-max."""
    yield from _tasks("threads", usage, usage.facts.threads_max)


def pool(limit: str) -> Callable[[NodeUsage], Iterator[Reading]]:
    """Return the reader of a pool of the whole node, with whoever is seen to hold something of it."""

    def read(usage: NodeUsage) -> Iterator[Reading]:
        for one in usage.pools:
            if one.limit == limit:
                yield _pool(one, _greatest(usage.owners, lambda row, one=one: one.takers.get(row.owner)))  # type: ignore[misc]

    return read


def inotify_instances(usage: NodeUsage) -> Iterator[Reading]:
    """Instances of each user against max_user_instances.

    A node without a single instance reads as the superuser's zero, so that the limit is seen to be watched.
    """
    rows = [user for user in usage.users if user.pool == "inotify-instances"]
    if not rows:
        blind = any("inotify-instances" in gap.limits for gap in usage.gaps)
        rows = [UserUsage("inotify-instances", 0, None if blind else 0, usage.facts.inotify_max_instances, exact=False)]
    for user in rows:
        consumers = _greatest(usage.owners, lambda row, user=user: user.takers.get(row.owner))  # type: ignore[misc]
        greatest = consumers[0].owner if consumers else None
        yield Reading(
            limit="inotify-instances",
            key=f"user/{user.uid}",
            scope=f"user {user.uid}",
            used=user.used,
            maximum=user.limit,
            estimate=not user.exact,
            consumers=consumers,
            affected=tuple(
                Share(row.owner, row.identity, user.takers.get(row.owner))
                for row in usage.owners
                if row.owner in user.members and row.owner != greatest
            )[:SHARES_MAX],
        )


def time_wait(usage: NodeUsage) -> Iterator[Reading]:
    """TIME_WAIT buckets of each network namespace. Namespaces without any are left out, but for the host's."""
    rows = {row.owner: row for row in usage.owners}
    for netns in usage.netns:
        if not netns.time_wait_buckets and not netns.is_host and netns.time_wait_buckets is not None:
            continue
        yield _time_wait_of(netns, rows.get(netns.owner))


def _time_wait_of(netns: NetnsUsage, row: OwnerUsage | None) -> Reading:
    own = row is not None and netns.owner.kind is not OwnerKind.HOST
    subject = Subject(netns.owner, row.identity) if row is not None and own else Subject()
    key = _owner_key(row) if row is not None and own else ("host" if netns.is_host else "other")
    return Reading(
        limit="time-wait",
        key=f"netns/{key}",
        scope=owner_name(netns.owner, row.identity if row else None) if own else ("host" if netns.is_host else "netns"),
        used=netns.time_wait_buckets,
        maximum=netns.time_wait_max,
        subject=subject,
    )


def _tasks(limit: str, usage: NodeUsage, maximum: Limit) -> Iterator[Reading]:
    yield Reading(
        limit=limit,
        key="node",
        scope="node",
        used=usage.facts.tasks,
        maximum=maximum,
        consumers=_greatest(usage.owners, lambda row: row.threads),
    )


def _pool(one: PoolUsage, consumers: tuple[Share, ...]) -> Reading:
    return Reading(
        limit=one.limit,
        key="/".join(filter(None, ("node", one.scope.lower()))),
        scope=" ".join(filter(None, ("node", one.scope))),
        used=one.used,
        maximum=one.maximum,
        estimate=one.estimate,
        pressure=one.pressure,
        consumers=consumers,
    )


def _greatest(rows: Iterable[OwnerUsage], figure: Callable[[OwnerUsage], int | None]) -> tuple[Share, ...]:
    shares = [Share(row.owner, row.identity, used) for row in rows if (used := figure(row))]
    return tuple(sorted(shares, key=lambda share: (-(share.used or 0), share.owner))[:SHARES_MAX])


def _owner_key(row: OwnerUsage) -> str:
    return "/".join(filter(None, (row.owner.kind.lower(), row.owner.id)))
