"""`explain node/NAME` and `explain pod/NAME`: all that is known of one subject, and what to do next."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from auditor.model.words import bounded, clean, count, duration, endpoint
from auditor.publish import object as shape
from auditor.publish.terminal import render
from auditor.publish.when import maybe_epoch
from auditor.report.window import STALE_SECONDS

_STYLES = {"Critical": "bold red", "Warning": "yellow", "Info": "cyan"}


def node(name: str, status: shape.Status, now: float, console: Console) -> None:
    """Print a node's whole status, and how old it is. One that is too old says what was, not what is."""
    too_old = _age(status, now, console)
    render(_as_unknown(status, too_old) if too_old else status, name, console, all_rows=True)


def node_document(name: str, status: shape.Status, now: float) -> dict[str, object]:
    """Return the same for a script."""
    return {"node": name, **_moment(status, now), "status": shape.plain(status)}


def pod_document(namespace: str, name: str, on: str, status: shape.Status, now: float) -> dict[str, object]:
    """Return what a node says of a pod, for a script; `pod` is null where the node does not list it."""
    of_pod = (namespace, name)
    row = next((one for one in status.pods if (one.namespace, one.name) == of_pod), None)
    return {
        "namespace": namespace,
        "name": name,
        "node": on,
        **_moment(status, now),
        "pod": None if row is None else shape.plain(row),
        "listeners": [shape.plain(one) for one in status.listeners if (one.namespace, one.name) == of_pod],
        "findings": [shape.plain(finding) | {"part": part} for finding, part in _findings(namespace, name, status)],
    }


def _moment(status: shape.Status, now: float) -> dict[str, object]:
    observed = maybe_epoch(status.observed_at)
    return {"observedAt": status.observed_at, "stale": observed is None or now - observed > STALE_SECONDS}


def _as_unknown(status: shape.Status, why: str) -> shape.Status:
    """Return a status that nobody may rely on; its findings stay, as they were."""
    healthy = [one.model_copy(update={"message": why}) for one in status.conditions if one.type == "Healthy"]
    others = [one for one in status.conditions if one.type != "Healthy"]
    return status.model_copy(update={"verdict": "Unknown", "conditions": [*healthy, *others]})


def pod(namespace: str, name: str, on: str, status: shape.Status, now: float, console: Console) -> None:  # noqa: PLR0913, PLR0917
    """Print what a node says of a pod.

    Args:
        namespace: of the pod.
        name: of the pod.
        on: name of its node.
        status: of that node.
        now: seconds since the epoch.
        console: where to.
    """
    shown = f"{clean(namespace)}/{clean(name)}"
    console.print(Text(f"{shown} on {clean(on)}", style="bold"))
    _age(status, now, console)
    row = next((one for one in status.pods if (one.namespace, one.name) == (namespace, name)), None)
    if row is None:
        console.print(
            Text(f"It is not among the {count(len(status.pods))} pods that the node lists: those under most pressure.")
        )
    else:
        for line in _held(row):
            console.print(Text(line), soft_wrap=True)
    listeners = [one for one in status.listeners if (one.namespace, one.name) == (namespace, name)]
    for one in listeners:
        where = f"unix:{clean(one.address)}" if one.protocol == "unix" else endpoint(clean(one.address), one.port)
        waiting = f"{count(one.queue)} of {count(one.backlog + 1)} waiting"
        dropped = "" if one.drops is None else f", {count(one.drops)} dropped"
        console.print(Text(f"listens on {where}: {waiting}{dropped}"), soft_wrap=True)
    found = list(_findings(namespace, name, status))
    for finding, part in found:
        console.print()
        head = Text.assemble((finding.severity.upper(), _STYLES[finding.severity]), f" {clean(finding.rule)} ({part})")
        console.print(head)
        console.print(Text(f"  {clean(finding.message)}"), soft_wrap=True)
        console.print(Text(f"  fix: {clean(finding.remedy)}"), soft_wrap=True)
    console.print()
    if not found:
        console.print(Text("No finding is about it.", style="green"))
    console.print(
        Text(f"Socket by socket, on the node itself: sockaudit scan --pod {shown}", style="dim"), soft_wrap=True
    )


def _age(status: shape.Status, now: float, console: Console) -> str:
    """Print how old a status is, and return why nobody may rely on it; empty if one may."""
    observed = maybe_epoch(status.observed_at)
    if observed is None:
        said = stale = "nobody can tell when it was audited, so take it as Unknown"
    else:
        said, stale = f"audited {duration(now - observed)} ago", ""
        if now - observed > STALE_SECONDS:
            said = stale = f"{said}; older than 15 min, so take it as Unknown"
    console.print(Text(said, style="magenta" if stale else "dim"))
    return stale


def _held(row: shape.Pod) -> Iterator[str]:
    peak = "" if row.fds_peak is None else f", {count(row.fds_peak)} at its peak"
    yield f"descriptors: {_figure(row.fds)}{peak}"
    if row.kinds:
        kinds = row.kinds.model_dump()
        yield "  " + ", ".join(f"{count(number)} {kind}" for kind, number in sorted(kinds.items(), key=_most) if number)
    if row.worst_process:
        worst = row.worst_process
        limit = "no limit" if worst.soft_limit is None else count(worst.soft_limit)
        percent = "" if worst.percent is None else f" ({worst.percent} %)"
        yield f"worst process: {worst.pid} {clean(worst.command)}, {count(worst.fds)} of {limit}{percent}"
    if row.sockets and row.sockets.tcp:
        states = [(state, number) for state, number in row.sockets.tcp.model_dump().items() if number]
        used = ", ".join(f"{count(number)} {state.upper()}" for state, number in sorted(states, key=_most))
        yield f"TCP sockets: {used or 'none'}"
    for one in row.containers:
        yield f"container {clean(one.name or one.id or 'sandbox')}: {_figure(one.fds)} descriptors"
    if row.workload:
        yield f"workload: {clean(row.workload)}"


def _findings(namespace: str, name: str, status: shape.Status) -> Iterator[tuple[shape.Finding, str]]:
    """Yield the findings that name the pod, and its part in each."""
    for finding in status.findings:
        if (finding.subject.namespace, finding.subject.name) == (namespace, name):
            yield finding, "about it"
        elif any((one.namespace, one.name) == (namespace, name) for one in finding.consumers):
            yield finding, bounded(f"it takes part of {clean(finding.scope or 'the pool')}", 200)
        elif any((one.namespace, one.name) == (namespace, name) for one in finding.affected):
            yield finding, "it fails next"


def _most(item: tuple[str, int]) -> int:
    return -item[1]


def _figure(value: int | None) -> str:
    return "unknown" if value is None else count(value)
