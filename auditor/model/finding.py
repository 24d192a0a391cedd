"""Reading and Finding: what the rules make of a node."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from auditor.model.figures import Limit, percent
from auditor.model.sample import Flows, PortUse
from auditor.model.usage import Owner, PodIdentity, ProcessName, ProcessUse, Space


class Severity(IntEnum):
    """How bad. Ordered: the worst is the greatest."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def label(self) -> str:
        """As it is written in the object and on the terminal: Info, Warning, Critical."""
        return self.name.capitalize()


@dataclass(frozen=True, slots=True)
class Share:
    """What one owner takes of a pool.

    Attributes:
        used: `None` for one who takes nothing yet but will fail next.
        unit: what `used` counts where that is not what the limit counts (`bytes queued`); else `None`.
        estimate: `used` comes from a sample.
        process: of the host or a unit, the one that takes most, where that is known.
    """

    owner: Owner
    identity: PodIdentity | None
    used: int | None = None
    unit: str | None = None
    estimate: bool = False
    process: ProcessName | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about: an owner (and the process in it), or the node (`owner` is `None`).

    `runtime` is who made the owner's containers, where it matters and is known.
    """

    owner: Owner | None = None
    identity: PodIdentity | None = None
    container: str | None = None
    process: ProcessUse | None = None
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One limit in one scope, at one moment.

    Attributes:
        limit: id of the limit, a key of the table of limits.
        key: stable identity of the scope within the limit: of an owner, never a pid; a namespace that is nobody's has only
            its inode number.
        scope: the same for a person: `user 0`, `shop/cart-7c9 app`, `node`.
        used: `None` when unknown.
        maximum: the limit itself.
        estimate: derived from what is visible rather than read from the kernel's counter.
        pressure: the use at which the kernel begins to defend itself: the warning opens there, not at a percentage.
        subject: whom a finding would be about.
        consumers: who takes the pool, the greatest first.
        affected: who fails next.
        pods: what each pod takes of it, in the limit's own unit, but for those that every node has anyway: DaemonSets and
            static pods. Empty where single pods take none, or it is unknown.
        flows: what is tracked, of a reading of conntrack.
        ports: what a reading of ephemeral ports is about.
        peer: name of the pod at the other end, where it is one of this node.
        where: the address it is about, of a listener. Never found by cutting up `scope`: a tenant chooses a socket's path.
        space: the network namespace that it is about, or is in.
    """

    limit: str
    key: str
    scope: str
    used: int | None
    maximum: Limit
    subject: Subject = Subject()
    estimate: bool = False
    pressure: int | None = None
    consumers: tuple[Share, ...] = ()
    affected: tuple[Share, ...] = ()
    pods: Mapping[Owner, int] = field(default_factory=dict)
    flows: Flows | None = None
    ports: PortUse | None = None
    peer: str = ""
    where: str = ""
    space: Space | None = None

    @property
    def percent(self) -> int | None:
        """Whole percentage in use, rounded down; `None` unless both figures are known."""
        return percent(self.used, self.maximum)


@dataclass(frozen=True, slots=True)
class Drops:
    """What a counter of the kernel says was dropped so far, in one scope.

    Attributes:
        key: stable identity of the scope.
        scope: the same for a person.
        total: since the kernel began to count.
        used: how full is what drops, where that is known.
        maximum: its size.
        where: the address that drops, of a socket.
        space: the network namespace that it is about, or is in.
    """

    key: str
    scope: str
    subject: Subject
    total: int
    used: int | None = None
    maximum: Limit = None
    where: str = ""
    space: Space | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong or soon will be.

    Attributes:
        id: rule, stable owner and container; never a pid. The same trouble keeps its id over restarts.
        rule: id of the rule, CamelCase; also the event's reason and the anchor in the documentation.
        since: seconds since the epoch when it opened.
        limit: id of the limit; `None` for rules that watch none.
        scope: the reading's scope, for a person.
        maximum: the limit's value.
        exhausts_at: seconds since the epoch; `None` without a trend worth trusting.
        message: one sentence: who, how much of what.
        remedy: the knob, its value, what it buys, whether a restart is needed.
    """

    id: str
    rule: str
    severity: Severity
    subject: Subject
    since: float
    message: str
    remedy: str
    limit: str | None = None
    scope: str | None = None
    used: int | None = None
    maximum: Limit = None
    exhausts_at: float | None = None
    consumers: tuple[Share, ...] = field(default=())
    affected: tuple[Share, ...] = field(default=())

    @property
    def percent(self) -> int | None:
        """Whole percentage in use, rounded down."""
        return percent(self.used, self.maximum)


class Change(StrEnum):
    """What happened to a finding between two sweeps."""

    OPENED = "opened"
    WORSENED = "worsened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Event:
    """A finding that changed, at a moment (seconds since the epoch)."""

    at: float
    change: Change
    finding: Finding
