"""The report as JSON: one model, which every writer reads. Absent or null means unknown."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic.alias_generators import to_camel


class _Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    always: ClassVar[frozenset[str]] = frozenset()
    """Keys that are there also where they are unknown: what others rely on."""

    @model_serializer(mode="wrap")
    def _known(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in write(self).items() if value is not None or key in self.always}


class Nodes(_Shape):
    """Who reported. `total` is all that are there now; `gone` were in an earlier file only.

    `stale_seconds` is the age of what a stale node said last. `refused` is what was no SockAudit, `notes` what was read
    but not wholly understood.
    """

    total: int
    reporting: int
    stale: list[str]
    stale_seconds: dict[str, int]
    missing: list[str]
    gone: list[str]
    refused: list[str]
    notes: list[str]
    verdicts: dict[str, int]


class Tight(_Shape):
    """One of the nodes with least room."""

    node: str
    percent: int | None = None
    pods_until_limit: int | None = None


class PoolLimit(_Shape):
    """One limit over the nodes of a pool.

    `worst_node` is where it is fullest now, and `used`, `limit` and `percent` are that node's; `peak_percent` is the
    greatest of all its nodes over the window, which another node may have reached; `pods_until_limit` that of the tightest
    node, and never more than its free slots; `pods_until_limit_alone` the same without regard to slots.
    """

    always: ClassVar[frozenset[str]] = frozenset(
        {"worstNode", "used", "limit", "percent", "peakPercent", "podsUntilLimit"}
    )
    name: str
    worst_node: str | None = None
    scope: str | None = None
    used: int | None = None
    limit: int | None = None
    state: str = "Known"
    percent: int | None = None
    peak_percent: int | None = None
    pods_until_limit: int | None = None
    pods_until_limit_alone: int | None = None
    is_before_slots: bool = False
    """Whether it ends before the slots of a node do, or with them."""
    spread: list[int]
    """Nodes by tenth of the limit that their peak reached: under 10 %, under 20 %, ... and 100 % or more."""
    tightest: list[Tight]


class Pool(_Shape):
    """Nodes that are alike. `pods_until_limit` is its tightest node's, and `ends_first` what sets it.

    `also_ends` are other limits that end after as many pods, there or on another node. `pods` and `pods_until_limit_sum`
    are of the nodes that say; `pods_unknown_nodes` and `unknown_nodes` do not.
    """

    always: ClassVar[frozenset[str]] = frozenset({"pods", "podsUntilLimit", "endsFirst"})
    name: str
    nodes: int
    pods: int | None = None
    pods_unknown_nodes: int = 0
    pods_until_limit: int | None = None
    pods_until_limit_sum: int | None = None
    ends_first: str | None = None
    also_ends: list[str]
    tightest_node: str | None = None
    unknown_nodes: int = 0
    limits: list[PoolLimit]


DriftRule = Literal["NofileDrift", "NofileHardDrift", "NofileNotEffective"]


class Drift(_Shape):
    """One workload whose descriptor limits are not what they should be.

    `NofileDrift`: its processes have different soft limits on different nodes, or on one. `NofileHardDrift`: the same of
    hard limits, where it is not the next that explains it. `NofileNotEffective`: its containers run with another hard limit
    than their node's runtime is configured to give, and will until they are made anew.
    """

    rule: DriftRule
    namespace: str
    kind: str
    name: str
    soft_min: int | None = None
    soft_max: int | None = None
    hard_min: int | None = None
    hard_max: int | None = None
    lowest_on: list[str] | None = None
    highest_on: list[str] | None = None
    running: int | None = None
    configured: int | None = None
    on: list[str] | None = None

    @property
    def cells(self) -> tuple[str, int | None, str, int | None, str]:
        """What is wrong, and the two limits, each with where it holds; of a table's row."""
        if self.rule == "NofileNotEffective":
            return "older than the runtime's", self.running, ", ".join(self.on or ()), self.configured, "once made anew"
        what, least, most = "soft limits differ", self.soft_min, self.soft_max
        if self.rule == "NofileHardDrift":
            what, least, most = "hard limits differ", self.hard_min, self.hard_max
        return what, least, ", ".join(self.lowest_on or ()), most, ", ".join(self.highest_on or ())


class Recommendation(_Shape):
    """What to change, where, and what it buys.

    `parameter` is the kernel's setting. `pods_until_limit` is the pool's after this one change, all other limits as they
    are.
    """

    kind: Literal["sysctl", "network", "nofile"]
    pool: str | None = None
    limit: str
    parameter: str | None = None
    namespace: str | None = None
    workload: str | None = None
    peak: int | None = None
    now: int | None = None
    recommended: int
    setting: str
    buys: str
    pods_until_limit: int | None = None

    @property
    def where(self) -> str:
        """The pool or the workload."""
        return self.pool if self.pool is not None else f"{self.namespace}/{self.workload}"

    @property
    def command(self) -> str:
        """The setting without what is said about it."""
        return self.setting.partition(" (")[0]


class Consumer(_Shape):
    """A pod that takes much."""

    namespace: str
    name: str
    node: str
    fds: int | None = None
    fds_peak: int | None = None
    sockets: int | None = None


class Namespace(_Shape):
    """What the pods of a namespace hold, as far as the nodes list them.

    `pods` and `fds` are of what is known; `pods_unknown_workloads` and `fds_unknown_pods` do not say.
    """

    name: str
    pods: int | None = None
    pods_unknown_workloads: int = 0
    fds: int | None = None
    fds_unknown_pods: int = 0
    findings: int = 0


class OpenFinding(_Shape):
    """A finding that is open."""

    node: str
    rule: str
    severity: str
    subject: str
    since: str | None = None
    age: int | None = None
    message: str
    remedy: str


class Change(_Shape):
    """What is different since the earlier file: a figure, or that there is such a pool, limit or workload at all."""

    pool: str | None = None
    workload: str | None = None
    what: str
    state: Literal["changed", "new", "gone"] = "changed"
    before: int | str | None = None
    after: int | str | None = None

    @property
    def cells(self) -> tuple[str, str, int | str | None, int | str | None]:
        """A table's row."""
        where = self.pool if self.pool is not None else self.workload
        before = "new" if self.state == "new" else self.before
        return "all" if where is None else where, self.what, before, "gone" if self.state == "gone" else self.after


class Report(_Shape):
    """The whole. `consumers` are the greatest of `consumers_total` that the nodes list."""

    generated_at: str
    sources: list[str]
    window: list[str]
    sentences: list[str]
    nodes: Nodes
    pools: list[Pool]
    drift: list[Drift]
    recommendations: list[Recommendation]
    consumers: list[Consumer]
    consumers_total: int
    namespaces: list[Namespace]
    findings: list[OpenFinding]
    changes: list[Change] | None = None


def plain(report: Report) -> dict[str, object]:
    """Return the JSON form."""
    return report.model_dump(mode="json", by_alias=True)
