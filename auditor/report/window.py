"""Several moments of many nodes: who is there now, who is stale, missing or gone, and the peaks over all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from auditor.report.observation import NodeRecord

STALE_SECONDS = 15 * 60
"""A status older than this is Unknown."""

Key = tuple[str, str, str]
"""Node, limit and scope."""


@dataclass(slots=True)
class Window:
    """What is known.

    Attributes:
        now: against which a status is stale, in seconds since the epoch; `None` where nobody ever reported.
        reporting: nodes with a status that is young enough.
        stale: nodes with an older one.
        missing: names of nodes without any.
        gone: nodes that only an earlier file has.
        peaks: the most that each limit saw on each node, over all files.
        times: of the earliest and the latest status.
        refused: what was no SockAudit, one clause each.
    """

    now: float | None
    reporting: list[NodeRecord] = field(default_factory=list)
    stale: list[NodeRecord] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gone: list[NodeRecord] = field(default_factory=list)
    peaks: dict[Key, int] = field(default_factory=dict)
    times: tuple[float, float] | None = None
    refused: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Nodes that are there now."""
        return len(self.reporting) + len(self.stale) + len(self.missing)


def window(
    batches: Sequence[Sequence[NodeRecord]],
    *,
    now: float | None = None,
    expected: Iterable[str] = (),
    refused: Iterable[str] = (),
) -> Window:
    """Put files together. The one with the youngest status is the present; the others make the window longer.

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
    latest = max(batches, key=_youngest, default=())
    current = _by_name(latest)
    gone: dict[str, NodeRecord] = {}
    for batch in batches:
        for one in batch:
            _remember_peaks(one, found.peaks)
            if one.name not in current and one.observed_at is not None:
                gone[one.name] = _younger(one, gone.get(one.name))
    found.gone = [gone[name] for name in sorted(gone)]
    for one in (current[name] for name in sorted(current)):
        if one.observed_at is None or found.now is None:
            found.missing.append(one.name)
        elif found.now - one.observed_at > STALE_SECONDS:
            found.stale.append(one)
        else:
            found.reporting.append(one)
    found.missing = sorted({*found.missing, *(set(expected) - current.keys())})
    return found


def _youngest(batch: Sequence[NodeRecord]) -> float:
    return max((one.observed_at or 0.0 for one in batch), default=0.0)


def _by_name(batch: Iterable[NodeRecord]) -> Mapping[str, NodeRecord]:
    found: dict[str, NodeRecord] = {}
    for one in batch:
        found[one.name] = _younger(one, found.get(one.name))
    return found


def _younger(one: NodeRecord, other: NodeRecord | None) -> NodeRecord:
    return one if other is None or (one.observed_at or 0.0) >= (other.observed_at or 0.0) else other


def _remember_peaks(one: NodeRecord, peaks: dict[Key, int]) -> None:
    for row in one.limits:
        if row.most is not None:
            key = one.name, row.name, row.scope
            peaks[key] = max(row.most, peaks.get(key, 0))
