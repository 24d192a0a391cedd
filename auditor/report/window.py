"""Several moments of many nodes: who is there now, who is stale, missing or gone, and the peaks over all of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.model.words import place
from auditor.report.observation import LimitRecord, NodeRecord
from auditor.report.settings import setting

STALE_SECONDS = 15 * 60
"""A status older than this is Unknown."""

_DAY_SECONDS = 86_400
_NAMED_MAX = 3

Key = tuple[str, str, str]
"""Node, limit and scope."""

WorkloadKey = tuple[str, str, str]
"""Namespace, kind and name."""


@dataclass(slots=True)
class Window:
    """What is known. The peaks of a node's limits and workloads are those of all its statuses.

    Attributes:
        now: against which a status is stale, in seconds since the epoch; `None` where nobody ever reported.
        reporting: nodes with a status that is young enough.
        stale: nodes with an older one.
        missing: names of nodes without any.
        gone: nodes that only an earlier file has.
        held: by workload and day since the epoch, the most descriptors that one pod held.
        times: of the earliest and the latest status.
        refused: what was no SockAudit, one clause each.
        notes: what was read but not wholly understood, one clause each.
    """

    now: float | None
    reporting: list[NodeRecord] = field(default_factory=list)
    stale: list[NodeRecord] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gone: list[NodeRecord] = field(default_factory=list)
    held: dict[WorkloadKey, dict[int, int]] = field(default_factory=dict)
    times: tuple[float, float] | None = None
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Nodes that are there now."""
        return len(self.reporting) + len(self.stale) + len(self.missing)

    def raise_peaks(self, peaks: Iterable[tuple[Key, int]]) -> None:
        """Take peaks that somebody else remembers."""
        by_node: defaultdict[str, dict[tuple[str, str], int]] = defaultdict(dict)
        for (node, limit, scope), peak in peaks:
            by_node[node][limit, scope] = max(peak, by_node[node].get((limit, scope), 0))
        for one in self.reporting:
            if one.name in by_node:
                one.limits = _raised(one.limits, by_node[one.name])


def window(
    batches: Sequence[Sequence[NodeRecord]],
    *,
    now: float | None = None,
    expected: Iterable[str] = (),
    refused: Iterable[str] = (),
) -> Window:
    """Put files together. Of each node its youngest status counts, wherever it stands; the older ones add their peaks.

    Files whose youngest status is of the last 15 minutes are parts of the present, and so are those without any. A node
    that none of them has is gone.

    Args:
        batches: one list a file.
        now: seconds since the epoch; `None`: as of the youngest status, for the files are of the past.
        expected: names of all nodes, where a cluster says.
        refused: what was no SockAudit.
    """
    times = [one.observed_at for batch in batches for one in batch if one.observed_at is not None]
    newest = max(times, default=None)
    found = Window(now if now is not None else newest, refused=list(refused))
    found.times = (min(times), max(times)) if times else None
    statuses: defaultdict[str, list[NodeRecord]] = defaultdict(list)
    present: set[str] = set()
    for batch in batches:
        is_present = _is_present(batch, newest)
        for one in batch:
            statuses[one.name].append(one)
            _hold(one, found.held)
            if is_present:
                present.add(one.name)
    for name in sorted(statuses):
        one = _over_time(statuses[name])
        if name not in present:
            found.gone.append(one)
        elif one.observed_at is None or found.now is None:
            found.missing.append(name)
        elif found.now - one.observed_at > STALE_SECONDS:
            found.stale.append(one)
        else:
            found.reporting.append(one)
    found.missing = sorted({*found.missing, *(set(expected) - present)})
    found.notes = list(_notes((*found.reporting, *found.stale)))
    return found


def _is_present(batch: Sequence[NodeRecord], newest: float | None) -> bool:
    youngest = max((one.observed_at for one in batch if one.observed_at is not None), default=None)
    return youngest is None or newest is None or newest - youngest <= STALE_SECONDS


def _hold(one: NodeRecord, held: dict[WorkloadKey, dict[int, int]]) -> None:
    if one.observed_at is None:
        return
    day = int(one.observed_at // _DAY_SECONDS)
    for row in one.workloads:
        if row.fds_peak is not None:
            days = held.setdefault((row.namespace, row.kind, row.name), {})
            days[day] = max(row.fds_peak, days.get(day, 0))


def _over_time(statuses: Sequence[NodeRecord]) -> NodeRecord:
    """Return the youngest status of a node with the peaks of all, and in `past` the limits that only older ones have."""
    if len(statuses) == 1:
        return statuses[0]
    ordered = sorted(statuses, key=lambda one: one.observed_at or 0.0)  # of equals the last one read comes last
    latest = ordered[-1]
    seen: dict[tuple[str, str], LimitRecord] = {}
    pods: dict[WorkloadKey, int] = {}
    for one in ordered:
        for row in one.limits:
            key = row.name, row.scope
            if key not in seen or (row.most or 0) >= (seen[key].most or 0):
                seen[key] = row
        for workload in one.workloads:
            pods_key = workload.namespace, workload.kind, workload.name
            pods[pods_key] = max(workload.fds_peak or 0, pods.get(pods_key, 0))
    peaks = {key: row.most for key, row in seen.items() if row.most is not None}
    bound = {(row.name, row.scope) for row in latest.limits}
    settings = {(row.name, setting(row.name, row.scope)) for row in latest.limits} - {(name, None) for name, _ in bound}
    return replace(
        latest,
        limits=_raised(latest.limits, peaks),
        workloads=[row._replace(fds_peak=pods[row[:3]] or row.fds_peak) for row in latest.workloads],
        past=[row for key, row in seen.items() if key not in bound and (row.name, setting(*key)) not in settings],
    )


def _raised(rows: Sequence[LimitRecord], peaks: Mapping[tuple[str, str], int]) -> list[LimitRecord]:
    """Return the rows with these peaks, by limit and scope, where they are greater.

    An object names the worst scope of a limit only. So the peak of one that it does not name any more counts for those
    that the same setting binds: what `user 1000` took once, `user 0` does not hide. Where a limit is of connections to
    one destination its peak is of the place that they go from, as the objects and metrics tell it.
    """
    own = {(row.name, place(row.scope)) for row in rows}
    of_places: dict[tuple[str, str], int] = {}
    for (name, scope), peak in peaks.items():
        of_places[name, place(scope)] = max(peak, of_places.get((name, place(scope)), 0))
    others: dict[tuple[str, str], int] = {}
    for (name, scope), peak in of_places.items():
        binding = setting(name, scope)
        if (name, scope) not in own and binding is not None:
            others[name, binding] = max(peak, others.get((name, binding), 0))
    raised = []
    for row in rows:
        key = row.name, place(row.scope)
        known = (row.most, of_places.get(key), others.get((row.name, setting(*key) or "")))
        raised.append(row._replace(peak=max((peak for peak in known if peak is not None), default=None)))
    return raised


def _notes(nodes: Iterable[NodeRecord]) -> Iterator[str]:
    """Yield each clause once, with some of the nodes that it is of."""
    by_clause: defaultdict[str, list[str]] = defaultdict(list)
    for one in nodes:
        for note in one.notes:
            by_clause[note].append(one.name)
    for note, names in sorted(by_clause.items()):
        yield f"{note}: {named(names)}"


def named(names: Sequence[str], most: int = _NAMED_MAX) -> str:
    """Write the first few of many names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
