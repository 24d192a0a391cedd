"""What to change: descriptor limits of workloads, sysctls of pools, and what each buys."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditor.model.words import count
from auditor.report import shape
from auditor.report.capacity import NO_POOL, more_pods, pods_until, pool_of
from auditor.report.observation import LimitRecord, NodeRecord, WorkloadRecord
from auditor.report.window import Key, Window

LEAST_NOFILE = 1024
_TOO_HIGH = 64  # times what is recommended, and more than a million: loops that close all descriptors take long
_MILLION = 1 << 20
_NAMED_MAX = 3

SYSCTLS: Mapping[str, str] = {
    "file-handles": "fs.file-max",
    "inotify-instances": "fs.inotify.max_user_instances",
    "inotify-watches": "fs.inotify.max_user_watches",
    "epoll-watches": "fs.epoll.max_user_watches",
    "pids": "kernel.pid_max",
    "threads": "kernel.threads-max",
    "aio": "fs.aio-max-nr",
    "ptys": "kernel.pty.max",
    "orphans": "net.ipv4.tcp_max_orphans",
    "time-wait": "net.ipv4.tcp_max_tw_buckets",
    "conntrack": "net.netfilter.nf_conntrack_max",
    "keys": "kernel.keys.maxkeys",
}
"""By limit, the setting that a node has for it; the others take more than one figure, or are a program's own."""


@dataclass(slots=True)
class _Workload:
    pods: int = 0
    peak: int | None = None
    limits: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))


def workloads(nodes: Iterable[NodeRecord]) -> dict[tuple[str, str, str], _Workload]:
    """Add up each workload over the nodes."""
    found: defaultdict[tuple[str, str, str], _Workload] = defaultdict(_Workload)
    for node in nodes:
        for row in node.workloads:
            _add(found[row.namespace, row.kind, row.name], row, node.name)
    return found


def _add(one: _Workload, row: WorkloadRecord, node: str) -> None:
    one.pods += row.pods or 0
    if row.fds_peak is not None:
        one.peak = max(row.fds_peak, one.peak or 0)
    for limit in (row.soft_min, row.soft_max):
        if limit is not None:
            one.limits[limit].add(node)


def drift(found: Mapping[tuple[str, str, str], _Workload]) -> list[shape.Drift]:
    """Return the workloads whose processes have different limits, the greatest ratio first."""
    rows = [
        shape.Drift(
            namespace=namespace,
            kind=kind,
            name=name,
            soft_min=min(one.limits),
            soft_max=max(one.limits),
            lowest_on=sorted(one.limits[min(one.limits)])[:_NAMED_MAX],
            highest_on=sorted(one.limits[max(one.limits)])[:_NAMED_MAX],
        )
        for (namespace, kind, name), one in found.items()
        if len(one.limits) > 1
    ]
    return sorted(rows, key=lambda row: (-(row.soft_max // max(1, row.soft_min)), row.namespace, row.kind, row.name))


def nofile(found: Mapping[tuple[str, str, str], _Workload]) -> list[shape.Recommendation]:
    """Recommend a limit from the peak: the next power of two that doubles it. Pods have none of their own: the runtime's."""
    rows = []
    for (namespace, kind, name), one in found.items():
        if one.peak is None or not one.limits:
            continue
        wanted, lowest, highest = _power(max(2 * one.peak, LEAST_NOFILE)), min(one.limits), max(one.limits)
        if lowest < wanted:
            buys = f"twice the peak of {count(one.peak)}; now {100 * one.peak // max(1, lowest)} % of {count(lowest)}"
            now = lowest
        elif highest > _MILLION and highest > _TOO_HIGH * wanted:
            buys = f"programs that close every descriptor they may have no longer walk {count(highest)} of them"
            now = highest
        else:
            continue
        rows.append(
            shape.Recommendation(
                kind="nofile",
                namespace=namespace,
                workload=f"{kind}/{name}",
                limit="process-fds",
                peak=one.peak,
                now=now,
                recommended=wanted,
                setting=f"LimitNOFILE={wanted} of the container runtime (or setrlimit in the program), then restart the pods",
                buys=buys,
            )
        )
    return sorted(rows, key=lambda row: (row.now or 0) / (row.peak or 1))


def sysctls(window: Window, labels: Iterable[str], headroom: int) -> list[shape.Recommendation]:
    """Recommend a setting for each limit of a pool that has less than `headroom` percent left at its peak."""
    keys = tuple(labels)
    worst: dict[tuple[str, str], tuple[int, LimitRecord]] = {}
    nodes: defaultdict[str, list[NodeRecord]] = defaultdict(list)
    for node in window.reporting:
        pool = pool_of(node, keys)
        nodes[pool].append(node)
        for row in node.limits:
            peak = window.peaks.get((node.name, row.name, row.scope))
            short = row.limit is not None and peak is not None and 100 * peak > (100 - headroom) * row.limit
            if short and peak is not None and row.name in SYSCTLS and _is_of_node(row):
                other = worst.get((pool, row.name))
                if other is None or peak > other[0]:
                    worst[pool, row.name] = peak, row
    return [
        _sysctl(pool, name, peak, row, nodes[pool], window.peaks, headroom)
        for (pool, name), (peak, row) in sorted(worst.items())
    ]


def _is_of_node(row: LimitRecord) -> bool:
    """Whether the setting is the host's: tasks of a pod's cgroup are not."""
    return row.name != "pids" or row.scope == "node"


def _sysctl(  # noqa: PLR0913, PLR0917 - the row is made of these
    pool: str,
    name: str,
    peak: int,
    row: LimitRecord,
    nodes: list[NodeRecord],
    peaks: Mapping[Key, int],
    headroom: int,
) -> shape.Recommendation:
    wanted = _power(-(-100 * peak // (100 - headroom)))
    before = _tightest(name, nodes, peaks, None)
    after = _tightest(name, nodes, peaks, wanted)
    gained = (
        f", and room for {more_pods(after)} instead of {count(before)} on the tightest node"
        if (before is not None and after is not None)
        else ""
    )
    where = "" if pool == NO_POOL else f" on nodes of {pool}"
    return shape.Recommendation(
        kind="sysctl",
        pool=pool,
        limit=name,
        peak=peak,
        now=row.limit,
        recommended=wanted,
        setting=f"sysctl -w {SYSCTLS[name]}={wanted}{where} (takes effect at once)",
        buys=f"{100 * (wanted - peak) // wanted} % headroom at the peak of {count(peak)}{gained}",
        pods_until_limit=after,
    )


def _tightest(name: str, nodes: Iterable[NodeRecord], peaks: Mapping[Key, int], limit: int | None) -> int | None:
    fits = [
        fit
        for node in nodes
        for row in node.limits
        if row.name == name
        for better in [row if limit is None or row.limit is None else row._replace(limit=max(limit, row.limit))]
        if (fit := pods_until(better, peaks.get((node.name, row.name, row.scope)), node.slots)) is not None
    ]
    return min(fits, default=None)


def _power(least: int) -> int:
    return 1 << max(0, least - 1).bit_length()
