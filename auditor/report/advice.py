"""What to change: descriptor limits of workloads, sysctls of pools, and what each buys."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from auditor.model.words import count
from auditor.report import shape
from auditor.report.capacity import NO_POOL, Room, more_pods, pool_of, room
from auditor.report.observation import LimitRecord, NodeRecord, WorkloadRecord
from auditor.report.window import Key, Window

LEAST_NOFILE = 1024
_TOO_HIGH = 64  # times what is recommended, and more than a million: loops that close all descriptors take long
_MILLION = 1 << 20
_NAMED_MAX = 3

_PID_MAX_LIMIT = 4_194_304  # PID_MAX_LIMIT on 64 bit, include/linux/threads.h

_SYSCTLS: Mapping[str, str] = {
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
    "tcp-memory": "net.ipv4.tcp_mem",
    "udp-memory": "net.ipv4.udp_mem",
}
"""By limit, the setting that a node has for it; the others are a program's own, or several's."""


@dataclass(slots=True)
class _Workload:
    pods: int = 0
    peak: int | None = None
    limits: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    stale: defaultdict[tuple[int, int], set[str]] = field(default_factory=lambda: defaultdict(set))


def workloads(nodes: Iterable[NodeRecord]) -> dict[tuple[str, str, str], _Workload]:
    """Add up each workload over the nodes."""
    found: defaultdict[tuple[str, str, str], _Workload] = defaultdict(_Workload)
    for node in nodes:
        for row in node.workloads:
            _add(found[row.namespace, row.kind, row.name], row, node)
    return found


def _add(one: _Workload, row: WorkloadRecord, node: NodeRecord) -> None:
    one.pods += row.pods or 0
    if row.fds_peak is not None:
        one.peak = max(row.fds_peak, one.peak or 0)
    for limit in (row.soft_min, row.soft_max):
        if limit is not None:
            one.limits[limit].add(node.name)
    configured = node.runtime_hard_limit
    for given in (row.hard_min, row.hard_max):
        if given is not None and configured is not None and given != configured:
            one.stale[given, configured].add(node.name)


def drift(found: Mapping[tuple[str, str, str], _Workload]) -> list[shape.Drift]:
    """Return the workloads whose processes have different limits, or others than their runtime gives now."""
    return [*_uneven(found), *_stale(found)]


def _uneven(found: Mapping[tuple[str, str, str], _Workload]) -> Iterator[shape.Drift]:
    """Yield those with different soft limits, the greatest ratio first."""
    uneven = ((key, one.limits) for key, one in found.items() if len(one.limits) > 1)
    for (namespace, kind, name), limits in sorted(
        uneven, key=lambda row: (-(max(row[1]) // max(1, min(row[1]))), row[0])
    ):
        yield shape.Drift(
            rule="NofileDrift",
            namespace=namespace,
            kind=kind,
            name=name,
            soft_min=min(limits),
            soft_max=max(limits),
            lowest_on=sorted(limits[min(limits)])[:_NAMED_MAX],
            highest_on=sorted(limits[max(limits)])[:_NAMED_MAX],
        )


def _stale(found: Mapping[tuple[str, str, str], _Workload]) -> Iterator[shape.Drift]:
    """Yield those whose containers were given another hard limit than a new one would be, on the most nodes first."""
    stale = ((key, limits, nodes) for key, one in found.items() for limits, nodes in one.stale.items())
    for (namespace, kind, name), (running, configured), nodes in sorted(stale, key=lambda row: (-len(row[2]), row[:2])):
        yield shape.Drift(
            rule="NofileNotEffective",
            namespace=namespace,
            kind=kind,
            name=name,
            running=running,
            configured=configured,
            on=sorted(nodes)[:_NAMED_MAX],
        )


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
    worst: dict[tuple[str, str, str], tuple[int, LimitRecord]] = {}
    nodes: defaultdict[str, list[NodeRecord]] = defaultdict(list)
    for node in window.reporting:
        pool = pool_of(node, keys)
        nodes[pool].append(node)
        for row in node.limits:
            peak = window.peaks.get((node.name, row.name, row.scope))
            if row.limit is None or peak is None or 100 * peak <= (100 - headroom) * row.limit:
                continue
            knob = _knob(row)
            if knob and worst.get((pool, row.name, knob), (-1, row))[0] < peak:
                worst[pool, row.name, knob] = peak, row
    rooms = {pool: _rooms(some, window.peaks) for pool, some in nodes.items()}
    found = (
        _sysctl(pool, knob, peak, row, nodes[pool], rooms[pool], window.peaks, headroom)
        for (pool, _, knob), (peak, row) in sorted(worst.items(), key=lambda one: one[0])
    )
    return [one for one in found if one is not None]


def _knob(row: LimitRecord) -> str | None:
    """Name the setting that binds this scope of a limit; `None` where it is none of the node's, as of a pod's cgroup."""
    if row.name == "pids":
        return _SYSCTLS["pids"] if row.scope == "node" else None
    if row.name == "time-wait":  # each network namespace has its own, and does not follow the host's
        return _SYSCTLS["time-wait"] if row.scope == "host" else None
    if row.name == "keys":  # scope: `user 0`, `user 1000 bytes`
        root = "root_" if row.scope.split(" ")[:2] == ["user", "0"] else ""
        return f"kernel.keys.{root}{'maxbytes' if row.scope.endswith(' bytes') else 'maxkeys'}"
    if row.name == "neighbours":  # scope: `node IPv4`
        return f"net.{'ipv6' if row.scope.endswith('IPv6') else 'ipv4'}.neigh.default.gc_thresh3"
    return _SYSCTLS.get(row.name)


def _assignments(knob: str, wanted: int) -> str:
    """Write what `sysctl -w` takes, with the figures below the maximum where there are some."""
    if knob.endswith("_mem"):  # pages: low, pressure, maximum
        return f'{knob}="{wanted // 2} {wanted * 2 // 3} {wanted}"'
    if knob.endswith("gc_thresh3"):
        return " ".join(f"{knob[:-1]}{number}={wanted >> 3 - number}" for number in (1, 2, 3))
    if knob == _SYSCTLS["ptys"]:  # what the object calls the limit is what the reserve leaves
        return f"{knob}=$(({wanted} + $(sysctl -n kernel.pty.reserve)))"
    return f"{knob}={wanted}"


def _sysctl(  # noqa: PLR0913, PLR0917 - the row is made of these
    pool: str,
    knob: str,
    peak: int,
    row: LimitRecord,
    nodes: list[NodeRecord],
    before: Mapping[str, Room],
    peaks: Mapping[Key, int],
    headroom: int,
) -> shape.Recommendation | None:
    wanted = _power(-(-100 * peak // (100 - headroom)))
    if row.name == "pids":
        wanted = min(wanted, _PID_MAX_LIMIT)
    if row.limit is not None and wanted <= row.limit:
        return None  # the kernel has no more
    after = _rooms([_raised(node, row.name, knob, wanted) for node in nodes], peaks)
    where = "" if pool == NO_POOL else f" on nodes of {pool}"
    return shape.Recommendation(
        kind="sysctl",
        pool=pool,
        limit=row.name,
        peak=peak,
        now=row.limit,
        recommended=wanted,
        setting=f"sysctl -w {_assignments(knob, wanted)}{where} (takes effect at once)",
        buys=f"{100 * (wanted - peak) // wanted} % headroom at the peak of {count(peak)}{_gain(before, after)}",
        pods_until_limit=min((one.pods for one in after.values()), default=None),
    )


def _rooms(nodes: Iterable[NodeRecord], peaks: Mapping[Key, int]) -> dict[str, Room]:
    return {node.name: one for node in nodes if (one := room(node, peaks)) is not None}


def _raised(node: NodeRecord, name: str, knob: str, wanted: int) -> NodeRecord:
    """Return the node as it would be with a setting; a higher one of its own stays."""
    rows = [
        row._replace(limit=max(wanted, row.limit))
        if row.name == name and row.limit is not None and _knob(row) == knob
        else row
        for row in node.limits
    ]
    return replace(node, limits=rows)


def _gain(before: Mapping[str, Room], after: Mapping[str, Room]) -> str:
    """Say how many more pods one setting lets in, with all other limits as they are."""
    if not before:
        return ""
    old, new = min(one.pods for one in before.values()), min(one.pods for one in after.values())
    if new > old:
        return f", and room for {more_pods(new)} instead of {count(old)} on the tightest node"
    gained = sum(after[name].pods - one.pods for name, one in before.items())
    return f", and room for {more_pods(gained)} over all nodes, though for none on the tightest" if gained else ""


def _power(least: int) -> int:
    return 1 << max(0, least - 1).bit_length()
