"""The types that every stage shares. They record; they do not decide, and they know neither kernel nor Kubernetes.

Five of them carry the flow: `NodeSample` (facts of one moment), `Owner` and `NodeUsage` (the same facts by owner),
`Finding` (what is wrong, since when, what to do), and `Gap` (what could not be seen).

Every figure is `int | None`: `None` is unknown and is never shown as zero.
"""

from auditor.model.assessment import Assessment, NodeInfo, Peak, Verdict
from auditor.model.figures import UNLIMITED, Limit, Unlimited, percent
from auditor.model.finding import Change, Event, Finding, Reading, Severity, Share, Subject
from auditor.model.gap import Gap
from auditor.model.sample import (
    BudgetHolding,
    CgroupTasks,
    Kind,
    Listener,
    Netns,
    NodeFacts,
    NodeSample,
    Peer,
    Pool,
    Process,
    SharedDescriptions,
    SocketGroup,
    TcpState,
    UserBudget,
    cgroup_path,
)
from auditor.model.usage import (
    ContainerUsage,
    ListenerUsage,
    NetnsUsage,
    NodeTotals,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    PodIdentity,
    PoolUsage,
    ProcessUse,
    SocketUse,
    TaskLimit,
    UserUsage,
)

__all__ = [
    "UNLIMITED",
    "Assessment",
    "BudgetHolding",
    "CgroupTasks",
    "Change",
    "ContainerUsage",
    "Event",
    "Finding",
    "Gap",
    "Kind",
    "Limit",
    "Listener",
    "ListenerUsage",
    "Netns",
    "NetnsUsage",
    "NodeFacts",
    "NodeInfo",
    "NodeSample",
    "NodeTotals",
    "NodeUsage",
    "Owner",
    "OwnerKind",
    "OwnerUsage",
    "Peak",
    "Peer",
    "PodIdentity",
    "Pool",
    "PoolUsage",
    "Process",
    "ProcessUse",
    "Reading",
    "Severity",
    "Share",
    "SharedDescriptions",
    "SocketGroup",
    "SocketUse",
    "Subject",
    "TaskLimit",
    "TcpState",
    "Unlimited",
    "UserBudget",
    "UserUsage",
    "Verdict",
    "cgroup_path",
    "percent",
]
