"""Who takes what of a pool, and what a reading is called: shared by all that read limits."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from auditor.model import Owner, OwnerKind, OwnerUsage, ProcessName, Reading, Share

SHARES_MAX = 5


def fullest_of_each(readings: Iterable[Reading]) -> Iterable[Reading]:
    """Choose one reading for each key."""
    fullest: dict[str, Reading] = {}
    for reading in readings:
        other = fullest.get(reading.key)
        if other is None or _fullness(reading) > _fullness(other):
            fullest[reading.key] = reading
    return fullest.values()


def _fullness(reading: Reading) -> tuple[int, int]:
    return -1 if reading.percent is None else reading.percent, reading.used or 0


def greatest(
    rows: Iterable[OwnerUsage],
    figure: Callable[[OwnerUsage], int | None],
    unit: str | None = None,
    *,
    estimated: Callable[[OwnerUsage], bool] = lambda _: False,
    processes: Mapping[Owner, ProcessName] = MappingProxyType({}),
) -> tuple[Share, ...]:
    """Return those who take most of something, the greatest first.

    Args:
        rows: who may.
        figure: what each takes.
        unit: what the figure counts, if not the limit's own.
        estimated: whether it comes from a sample.
        processes: who takes most in an owner whose name does not say it.
    """
    shares = [
        Share(row.owner, row.identity, used, unit, estimated(row), processes.get(row.owner))
        for row in rows
        if (used := figure(row))
    ]
    return tuple(sorted(shares, key=lambda share: (-(share.used or 0), share.owner))[:SHARES_MAX])


def of_pods(rows: Iterable[OwnerUsage], figure: Callable[[OwnerUsage], int | None]) -> dict[Owner, int]:
    """Return what each pod takes, but for those that come with the node."""
    return {
        row.owner: used
        for row in rows
        if row.owner.kind is OwnerKind.POD and not _comes_with_the_node(row) and (used := figure(row)) is not None
    }


def _comes_with_the_node(row: OwnerUsage) -> bool:
    workload = row.identity.workload if row.identity else None
    static = "-" not in row.owner.id and "_" not in row.owner.id  # the hash of its manifest, not a UUID
    return static or (workload is not None and workload[0] == "DaemonSet")


def runtime_of(row: OwnerUsage | None) -> str | None:
    """Return who made an owner's containers, where that is known."""
    return next((container.runtime for container in row.containers if container.runtime), None) if row else None


def owner_key(row: OwnerUsage) -> str:
    """Return what an owner is called in the key of a reading."""
    return "/".join(filter(None, (row.owner.kind.lower(), row.owner.id)))
