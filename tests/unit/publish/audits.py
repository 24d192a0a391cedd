"""Whole audits by hand, made with the real stages: a quiet node, a node in trouble, and names nobody should have."""

from collections.abc import Iterable, Mapping
from typing import Any

from samples import CONTAINER, POD_A, POD_B, cgroup, in_pod, process, sample

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.model import (
    Assessment,
    BudgetHolding,
    Gap,
    NodeInfo,
    NodeSample,
    NodeUsage,
    PodIdentity,
    SocketGroup,
    TcpState,
    UserBudget,
)
from auditor.publish import object as shape
from auditor.publish.convert import AGENT, Caps, to_status
from auditor.remember import History

NODE = NodeInfo("node-a", uid="0a0a0a0a-0000-0000-0000-000000000000", labels={"pool": "blue"})
NAMES = {
    POD_A: PodIdentity(
        "shop", "cart-7c9", POD_A, ("Deployment", "cart"), host_network=False, containers={CONTAINER: "app"}
    ),
    POD_B: PodIdentity(
        "logging", "promtail-x2k", POD_B, ("DaemonSet", "promtail"), host_network=False, containers={CONTAINER: "tail"}
    ),
}
HOSTILE = "\x1b[31m[bold]red[/bold]\n\u202e\udcff" + "ä" * 400

Audit = tuple[NodeSample, NodeUsage, Assessment]


def judged(
    seen: NodeSample, names: Mapping[str, PodIdentity] = NAMES, history: History | None = None
) -> tuple[Audit, History]:
    usage = attribute(seen, names)
    assessment, after = assess(usage, history or History(), Policy(), seen.at)
    return (seen, usage, assessment), after


def quiet() -> Audit:
    return judged(sample([process(10, in_pod(POD_A), command="java")]))[0]


def troubled(gaps: Iterable[Gap] = (), command: str = "java") -> Audit:
    """A pod at 96 % of its descriptors, and a user at 125 of 128 inotify instances."""
    kubelet = cgroup("/system.slice/kubelet.service")
    processes = [
        process(4123, in_pod(POD_A), command=command, fds=960, netns=7),
        process(4200, in_pod(POD_B), command="promtail", fds=120, soft_limit=1_048_576, netns=8),
        process(900, kubelet, command="kubelet", fds=300, soft_limit=1_000_000),
    ]
    sockets = [
        SocketGroup(7, "tcp", TcpState.CLOSE_WAIT, (4123,), 812),
        SocketGroup(7, "tcp", TcpState.TIME_WAIT, (), 20),
    ]
    budget = UserBudget(
        "inotify-instances", 0, 125, 128, exact=False, holders=(BudgetHolding((4200,), 61), BudgetHolding((900,), 64))
    )
    seen = sample(processes, sockets, budgets=(budget,), gaps=tuple(gaps), at=1_800_000_000.0, sweep_seconds=0.0581)
    return judged(seen)[0]


def crowded(pods: int, text: str = "pod", fds: int = 960) -> Audit:
    """Many pods, each at 96 % of its descriptors unless it is told otherwise."""
    uids = [f"{number:08x}-0000-0000-0000-000000000000" for number in range(pods)]
    names = {
        uid: PodIdentity(
            "shop",
            f"{text}-{number}",
            uid,
            ("Deployment", f"{text}-{number}"),
            host_network=False,
            containers={CONTAINER: text},
        )
        for number, uid in enumerate(uids)
    }
    processes = [process(100 + number, in_pod(uid), command=text, fds=fds) for number, uid in enumerate(uids)]
    return judged(sample(processes), names)[0]


def status(audit: Audit, caps: Caps = AGENT, node: NodeInfo = NODE, **more: Any) -> shape.Status:
    return to_status(*audit, node, interval=30, caps=caps, **more)
