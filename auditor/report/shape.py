"""The report as JSON: one model, which every writer reads. Absent means unknown."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Aged(_Shape):
    """A node that did not report in time, and the age of what it said last in seconds."""

    name: str
    age: int | None = None


class Nodes(_Shape):
    """Who reported. `total` is all that are there now; `gone` were in an earlier file only."""

    total: int
    reporting: int
    stale: list[Aged]
    missing: list[str]
    gone: list[str]
    refused: list[str]
    verdicts: dict[str, int]


class Tight(_Shape):
    """One of the nodes with least room."""

    node: str
    percent: int | None = None
    pods_until_limit: int | None = None


class PoolLimit(_Shape):
    """One limit over the nodes of a pool.

    `worst_node` is where it is fullest now, and `used`, `limit` and `percent` are that node's; `peak_percent` is the
    greatest of all its nodes over the window; `pods_until_limit` that of the tightest node.
    """

    name: str
    worst_node: str | None = None
    scope: str | None = None
    used: int | None = None
    limit: int | None = None
    state: str = "Known"
    percent: int | None = None
    peak_percent: int | None = None
    pods_until_limit: int | None = None
    spread: list[int]
    """Nodes by tenth of the limit that their peak reached: under 10 %, under 20 %, ... and 100 % or more."""
    tightest: list[Tight]


class Pool(_Shape):
    """Nodes that are alike. `pods_until_limit` is its tightest node's, and `ends_first` what sets it."""

    name: str
    nodes: int
    pods: int | None = None
    pods_until_limit: int | None = None
    pods_until_limit_sum: int | None = None
    ends_first: str | None = None
    tightest_node: str | None = None
    unknown_nodes: int = 0
    limits: list[PoolLimit]


class Drift(_Shape):
    """One workload whose descriptor limits are not what they should be.

    `NofileDrift`: its processes have different soft limits on different nodes, or on one. `NofileNotEffective`: its
    containers run with another hard limit than their node's runtime is configured to give, and will until they are made
    anew.
    """

    rule: Literal["NofileDrift", "NofileNotEffective"]
    namespace: str
    kind: str
    name: str
    soft_min: int | None = None
    soft_max: int | None = None
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
        return (
            "differs",
            self.soft_min,
            ", ".join(self.lowest_on or ()),
            self.soft_max,
            ", ".join(self.highest_on or ()),
        )


class Recommendation(_Shape):
    """What to change, where, and what it buys.

    `pods_until_limit` is the pool's after this one change, all other limits as they are.
    """

    kind: str
    pool: str | None = None
    limit: str | None = None
    namespace: str | None = None
    workload: str | None = None
    peak: int | None = None
    now: int | None = None
    recommended: int
    setting: str
    buys: str
    pods_until_limit: int | None = None


class Consumer(_Shape):
    """A pod that takes much."""

    namespace: str
    name: str
    node: str
    fds: int | None = None
    fds_peak: int | None = None
    sockets: int | None = None


class Namespace(_Shape):
    """What the pods of a namespace hold, as far as the nodes list them."""

    name: str
    pods: int
    fds: int | None = None
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
    """What is different since the earlier file."""

    pool: str | None = None
    workload: str | None = None
    what: str
    before: int | str | None = None
    after: int | str | None = None


class Report(_Shape):
    """The whole."""

    generated_at: str
    sources: list[str]
    window: list[str]
    sentences: list[str]
    nodes: Nodes
    pools: list[Pool]
    drift: list[Drift]
    recommendations: list[Recommendation]
    consumers: list[Consumer]
    namespaces: list[Namespace]
    findings: list[OpenFinding]
    changes: list[Change] | None = None


def plain(report: Report) -> dict[str, object]:
    """Return the JSON form: what is unknown is left out."""
    return report.model_dump(mode="json", by_alias=True, exclude_none=True)
