"""Assessment: what the rules say of one moment, given what is remembered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.model.finding import Event, Finding, Reading
from auditor.model.usage import Owner


class Verdict(StrEnum):
    """The node in one word."""

    OK = "OK"
    WARNING = "Warning"
    CRITICAL = "Critical"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Peak:
    """The greatest value seen since a moment (both times in seconds since the epoch), over seven days at most."""

    value: int
    at: float
    since: float


@dataclass(frozen=True, slots=True)
class PodShare:
    """What single pods take of a pool, each at its peak: how many pods, the median, what nine of ten do not exceed, the most."""

    pods: int
    p50: int
    p90: int
    max: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """The rules' word on one moment.

    Attributes:
        readings: every limit in every scope that was read, and one without a figure for each that could not be.
        findings: all that are open, the worst first.
        events: what changed since the previous sweep.
        unreadable: ids of promised limits that could not be read: the reason for a verdict of Unknown.
        unjudged: ids of all limits that could not be read, promised or not.
        once: above their warning in this sweep only, the fullest first, where the rule asks for two in a row: the next one
            tells a moment from a state.
        peaks: by (limit, scope) as the readings name them.
        fds_peaks: the most descriptors each pod held.
        shares: what single pods take, by (limit, scope), where that is known.
        thresholds: (warning, critical) percent in force, by (limit, scope).
        ends: when a limit runs out, where a trend is worth trusting: seconds since the epoch by (limit, scope).
    """

    verdict: Verdict
    readings: tuple[Reading, ...] = ()
    findings: tuple[Finding, ...] = ()
    events: tuple[Event, ...] = ()
    unreadable: frozenset[str] = frozenset()
    unjudged: frozenset[str] = frozenset()
    once: tuple[Reading, ...] = ()
    peaks: Mapping[tuple[str, str], Peak] = field(default_factory=dict)
    fds_peaks: Mapping[Owner, Peak] = field(default_factory=dict)
    shares: Mapping[tuple[str, str], PodShare] = field(default_factory=dict)
    thresholds: Mapping[tuple[str, str], tuple[int, int | None]] = field(default_factory=dict)
    ends: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What the API says of this node; on a plain host only the name.

    Attributes:
        uid: of the Node object; `None` outside a cluster.
        pods_allocatable: pods the scheduler may place here.
        labels: the few chosen labels (pool, zone, instance type) that are copied to the object.
        all_labels: all of them, for selectors.
    """

    name: str
    uid: str | None = None
    os_image: str | None = None
    runtime: str | None = None
    pods_allocatable: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    all_labels: Mapping[str, str] = field(default_factory=dict)
