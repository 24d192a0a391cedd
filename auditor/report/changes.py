"""What is different since an earlier file, by pool and by workload."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from auditor.report import shape
from auditor.report.capacity import Members, members, pools
from auditor.report.observation import VERDICTS
from auditor.report.settings import setting
from auditor.report.window import Window, WorkloadKey
from auditor.report.workloads import workloads

_FACTOR = 2  # by which a workload's peak has to grow or fall to be worth a line

Figures = dict[str, int | str | None]


def changes(since: Window, window: Window, labels: Sequence[str]) -> Iterator[shape.Change]:
    """Compare two windows; nothing where nothing that matters is different."""
    before, after = (_pools(members(one, labels)) for one in (since, window))
    for name in sorted({*before, *after}):
        yield from _pool(name, before.get(name), after.get(name))
    verdicts = [Counter(one.verdict for one in moment.reporting) for moment in (since, window)]
    for verdict in VERDICTS:
        old, new = verdicts[0][verdict], verdicts[1][verdict]
        if old != new:
            yield shape.Change(what=f"nodes that say {verdict}", before=old, after=new)
    opened, closed = _open(window) - _open(since), _open(since) - _open(window)
    if opened or closed:
        yield shape.Change(what="findings closed and opened", before=len(closed), after=len(opened))
    earlier, later = _workloads(since), _workloads(window)
    for key in sorted({*earlier, *later}):
        yield from _workload("/".join(key), earlier.get(key), later.get(key))


def _pools(groups: Mapping[str, Members]) -> dict[str, Figures]:
    """Return what is compared of each pool."""
    found: dict[str, Figures] = {}
    for pool in pools(groups):
        group = groups[pool.name]
        if not group.nodes:
            continue  # only an earlier file has it
        found[pool.name] = {
            "nodes": pool.nodes,
            "pods": pool.pods,
            "pods until limit": pool.pods_until_limit,
            "ends first": pool.ends_first,
        }
        found[pool.name] |= {f"{limit.name} peak, percent": limit.peak_percent for limit in pool.limits}
        found[pool.name] |= _settings(group)
    return found


def _settings(group: Members) -> dict[str, int]:
    """Return what each setting of the kernel is, where it is lowest."""
    lowest: dict[str, int] = {}
    for row in (row for node in group.nodes for row in node.limits):
        name = setting(row.name, row.scope)
        if name is not None and row.limit is not None:
            lowest[name] = min(row.limit, lowest.get(name, row.limit))
    return {f"{name}, lowest": value for name, value in lowest.items()}


def _pool(name: str, old: Figures | None, new: Figures | None) -> Iterator[shape.Change]:
    if old is None or new is None:
        state, figures = ("new", new) if old is None else ("gone", old)
        nodes = (figures or {}).get("nodes")
        yield shape.Change.model_validate(
            {"pool": name, "what": "nodes", "state": state, "after" if state == "new" else "before": nodes}
        )
        return
    for what in dict.fromkeys((*old, *new)):
        if old.get(what) != new.get(what):
            state = "new" if what not in old else "gone" if what not in new else "changed"
            yield shape.Change.model_validate(
                {"pool": name, "what": what, "state": state, "before": old.get(what), "after": new.get(what)}
            )


def _workloads(window: Window) -> dict[WorkloadKey, Figures]:
    found: dict[WorkloadKey, Figures] = {}
    for key, parts in workloads(window.reporting).items():
        rows = [part.row for part in parts]
        found[key] = {
            "peak of descriptors": max((row.fds_peak for row in rows if row.fds_peak is not None), default=None),
            "lowest soft limit": min((row.soft_min for row in rows if row.soft_min is not None), default=None),
            "highest soft limit": max((row.soft_max for row in rows if row.soft_max is not None), default=None),
        }
    return found


def _workload(name: str, old: Figures | None, new: Figures | None) -> Iterator[shape.Change]:
    peak = "peak of descriptors"
    if old is None:
        yield shape.Change(workload=name, what=peak, state="new", after=(new or {}).get(peak))
    elif new is None:
        yield shape.Change(workload=name, what=peak, state="gone", before=old.get(peak))
    else:
        for what in old:
            if old[what] != new[what] and (what != peak or _is_another_size(old[what], new[what])):
                yield shape.Change(workload=name, what=what, before=old[what], after=new[what])


def _is_another_size(old: int | str | None, new: int | str | None) -> bool:
    if not isinstance(old, int) or not isinstance(new, int):
        return True
    return max(old, new) >= _FACTOR * max(1, min(old, new))


def _open(window: Window) -> set[tuple[str, str]]:
    return {(node.name, finding.id) for node in window.reporting for finding in node.findings}
