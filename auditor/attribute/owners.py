"""What each owner holds, added up from its processes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from auditor.attribute.cgroup import Place
from auditor.model import (
    ContainerUsage,
    Kind,
    Owner,
    OwnerUsage,
    PodIdentity,
    Process,
    ProcessUse,
    SharedDescriptions,
    SocketUse,
)


def total(figures: Iterable[int | None]) -> int | None:
    """Add up figures; one unknown makes the sum unknown."""
    result = 0
    for figure in figures:
        if figure is None:
            return None
        result += figure
    return result


def owner_usage(  # noqa: PLR0913 - one row is made of exactly these
    owner: Owner,
    processes: Sequence[Process],
    *,
    place_of: Mapping[int, Place],
    identity: PodIdentity | None,
    descriptions: int | None,
    sockets: SocketUse | None,
    own_netns: bool,
) -> OwnerUsage:
    """Add up one owner's processes."""
    names = identity.containers if identity else {}
    by_container: dict[str | None, list[Process]] = defaultdict(list)
    runtimes: dict[str | None, str | None] = {}
    for process in processes:
        place = place_of[process.pid]
        by_container[place.container].append(process)
        runtimes[place.container] = place.runtime or runtimes.get(place.container)
    containers = tuple(
        _container(identifier, names.get(identifier or ""), _tables(rows), runtimes[identifier])
        for identifier, rows in sorted(by_container.items(), key=lambda item: item[0] or "")
    )
    tables = _tables(processes)
    return OwnerUsage(
        owner=owner,
        identity=identity,
        processes=len(processes),
        threads=total(process.threads for process in processes),
        fds=_fds(tables),
        descriptions=descriptions,
        kinds=_kinds(tables),
        sockets=sockets,
        own_netns=own_netns,
        worst=_worst(one.worst for one in containers if one.worst),
        containers=containers,
        qos=next((qos for process in processes if (qos := place_of[process.pid].qos)), None),
        uids=frozenset(process.uid for process in processes if process.uid is not None and not process.kernel_thread),
    )


def descriptions_by_owner(
    processes: Iterable[Process], shared: Sequence[SharedDescriptions] | None, owner_of: Mapping[int, Owner]
) -> tuple[Callable[[Owner], int | None], int | None]:
    """Count distinct open file descriptions.

    Returns:
        A function from owner to its count (one shared by several owners counts once in each), and the node's count
        (each once). Both are unknown unless every table of the owner, or of the node, was resolved.
    """
    private: dict[Owner, list[int | None]] = defaultdict(list)
    for process in processes:
        if process.owns_table and not process.kernel_thread:
            private[owner_of[process.pid]].append(process.private_descriptions)
    if shared is None:
        return lambda _: None, None
    held: Counter[Owner] = Counter()
    for group in shared:
        for owner in {owner_of[pid] for pid in group.holders if pid in owner_of}:
            held[owner] += group.count

    def of(owner: Owner) -> int | None:
        return total([*private[owner], held[owner]])

    everything = [figure for figures in private.values() for figure in figures]
    return of, total([*everything, *(group.count for group in shared)])


def _tables(processes: Iterable[Process]) -> list[Process]:
    return [process for process in processes if process.owns_table and not process.kernel_thread]


def _fds(tables: Iterable[Process]) -> int | None:
    return total(process.fds for process in tables)


def _kinds(tables: Iterable[Process]) -> Mapping[Kind, int] | None:
    sums = dict.fromkeys(Kind, 0)
    for process in tables:
        if process.kinds is None:
            if process.fds == 0:
                continue
            return None
        for kind, number in process.kinds.items():
            sums[kind] += number
    return sums


def _worst(uses: Iterable[ProcessUse]) -> ProcessUse | None:
    """Choose the process nearest to its limit; one that lowered its own limit comes last, for that is no trouble."""
    return max(uses, key=_strain, default=None)


def _strain(use: ProcessUse) -> tuple[bool, int, int, int]:
    used = use.percent
    return not use.lowered_itself, -1 if used is None else used, use.fds, -use.pid


def _container(identifier: str | None, name: str | None, tables: list[Process], runtime: str | None) -> ContainerUsage:
    uses = (
        ProcessUse(row.pid, row.start, row.command, row.fds, row.soft_limit, row.hard_limit)
        for row in tables
        if row.fds is not None
    )
    return ContainerUsage(identifier, name, _fds(tables), _worst(uses), runtime)
