"""Sweep: read the kernel and return the facts of one moment.

The rooms in their order: `processes` (who), `namespaces` and `tables` (what they share), `descriptors` (what each
holds), `shown` (what each network namespace shows to anyone), `dumps` (every one of them, from `inside` unless that is
`spared`, also those that only `pins` keep), `sockets` (whose they are), `node`, `users`, `tasks` and `pools` (limits, and
what is taken of them), `listeners` and `egress`. Descriptors are read before sockets are dumped, so that a socket without
a holder truly has none. `bpf` is the other way through them.
"""

import time

from auditor.kernel import kcmp
from auditor.kernel.errors import KernelError
from auditor.kernel.procfs import fd
from auditor.kernel.root import ProcRoot
from auditor.model import CommandError, Gap, NodeSample, SharedDescriptions
from auditor.sweep import (
    descriptions,
    descriptors,
    dumps,
    egress,
    hidden,
    listeners,
    namespaces,
    node,
    pools,
    processes,
    sockets,
    tables,
    tasks,
    users,
)
from auditor.sweep.budget import Budget
from auditor.sweep.losses import Losses
from auditor.sweep.memory import Memory, Spare
from auditor.sweep.processes import Row
from auditor.sweep.shown import look_from_outside

__all__ = ["Memory", "SweepError", "sweep"]

_CLASSIFY_SHARE, _DUMP_SHARE = 0.4, 0.15  # of the budget; the rest counts, attributes, judges and writes


class SweepError(CommandError):
    """There is nothing to sweep. The text is one line for a person, with what to do."""


def sweep(
    root: ProcRoot,
    *,
    cpu_seconds: float | None = None,
    memory: Memory | None = None,
    snat_ports: int | None = None,
) -> NodeSample:
    """Read everything a procfs tree tells about sockets and descriptors.

    Whatever is missing, refused or malformed becomes a gap of the sample.

    Args:
        root: /proc, another host's /proc mounted here, or a recorded tree.
        cpu_seconds: what a sweep should take; `None` for no bound, and then everything is read.
        memory: of earlier sweeps of the same tree; spares reading again what did not change where the budget is short.
        snat_ports: what the NAT in front of the node allows to one destination, if it is asked where connections go.

    Raises:
        SweepError: `root` is no procfs tree at all.
    """
    began, cpu = time.monotonic(), time.thread_time()
    losses = Losses()
    rows = _rows(root, losses)
    namespaces.complete(root, rows, losses)
    comparable = root.own_pids and kcmp.is_usable()
    refused = tables.share(rows) if comparable else 0
    memory = memory or Memory()
    budget = Budget(None if cpu_seconds is None else cpu_seconds * _CLASSIFY_SHARE)
    holdings = descriptors.classify(root, rows, losses, budget, memory)
    spare = Spare(memory, None if cpu_seconds is None else cpu_seconds * _DUMP_SHARE)
    shown = look_from_outside(root, rows, losses, spare)
    network = dumps.take(root, rows, shown, holdings, losses, spare)
    groups = sockets.groups(root, rows, holdings, network, budget)
    comparer = descriptions.Comparer(holdings, {row.pid: row.task_id for row in rows}, usable=comparable)
    facts, release = node.take(root, losses)
    # Limits before totals: what is left of the budget goes into comparing all descriptors.
    per_user = users.take(root, rows, comparer, facts, losses, budget)
    shared, gap = _shared(rows, comparer, budget)
    cgroup_tasks, unseen_cgroups = tasks.take(root, rows, losses, spare)
    found = (
        pools.with_holders(root, pools.take(root, losses), rows, pools.held(comparer, fd.PTY_LINKS), budget)
        + network.pools
    )
    return NodeSample(
        at=time.time(),
        source="procfs",
        reason="needs nothing but /proc",
        kernel=release or "",
        facts=facts,
        processes=tuple(row.process() for row in rows),
        netns=tuple(network.netns()),
        host_netns=namespaces.of_host(rows),
        sockets=groups,
        listeners=listeners.take(root, rows, holdings, network, budget),
        ports=network.ports,
        snat_ports=snat_ports,
        egress=() if snat_ports is None else tuple(sockets.egress(network, holdings)),
        dropping=listeners.dropping(network, holdings),
        queueing=listeners.queueing(network, holdings),
        shared=shared,
        budgets=tuple(per_user.found),
        pools=found.found,
        cgroup_tasks=cgroup_tasks,
        missing=found.missing | per_user.missing,
        vanished=losses.vanished,
        denied=len(losses.denied_pids),
        sweep_seconds=time.monotonic() - began,
        cpu_seconds=time.thread_time() - cpu + network.cpu_seconds,
        gaps=(
            *hidden.gaps(root, rows),
            *losses.gaps(),
            *holdings.gaps(),
            *network.gaps,
            *found.gaps(),
            *per_user.gaps,
            *unseen_cgroups,
            *sockets.gaps(groups),
            *gap,
            *_shared_tables(refused),
            *(egress.gaps(network, through_descriptors=False) if snat_ports else ()),
            _OF_PROCFS,
        ),
    )


_OF_PROCFS = Gap(
    "procfs",
    "by procfs tables that single threads have of their own do not show, and TCP sockets in a network namespace that no "
    "process is in count as closed: BPF counts the former and tells the latter's states",
)


def _rows(root: ProcRoot, losses: Losses) -> list[Row]:
    try:
        with root.top() as top:
            names = top.names(".")
        if "sys" not in names and not any(name.isdigit() for name in names):
            raise SweepError(f"{root.path} is no procfs: it has neither processes nor sys/. Name one with --procfs.")
        return processes.take(root, losses)
    except KernelError:
        raise SweepError(f"{root.path} cannot be read as a directory. Name a procfs with --procfs.") from None


def _shared(
    rows: list[Row],
    comparer: descriptions.Comparer,
    budget: Budget,
) -> tuple[tuple[SharedDescriptions, ...] | None, list[Gap]]:
    """Return the shared descriptions, or `None`, and what is unknown of them."""
    holdings = comparer.holdings
    if not comparer.usable:
        return None, [
            _unknown("kcmp needs a live procfs of the own PID namespace, and a kernel and seccomp that allow it")
        ]
    if holdings.size > descriptors.MAXIMUM_DESCRIPTORS:
        return None, [_unknown(f"more than {descriptors.MAXIMUM_DESCRIPTORS:,} descriptors are not compared")]
    if not budget.allows(descriptions.estimated_seconds(holdings)):
        return None, [_unknown("the CPU budget was spent")]
    shared, unknown = descriptions.count(rows, comparer)
    if not unknown:
        return shared, []
    return shared, [_unknown("processes whose descriptors could not be compared: CAP_SYS_PTRACE allows it", unknown)]


def _unknown(reason: str, count: int | None = None) -> Gap:
    return Gap("open-descriptions", f"distinct open files are unknown: {reason}", count)


def _shared_tables(refused: int) -> list[Gap]:
    if not refused:
        return []
    return [
        Gap(
            "shared-tables",
            "processes that might share a descriptor table count it each: CAP_SYS_PTRACE tells, unless they end too fast",
            refused,
        )
    ]
