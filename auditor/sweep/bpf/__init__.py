"""Sweep by BPF iterators: every descriptor is seen, so descriptions, holders and budgets are exact.

What the iterators leave out is looked for: processes that only /proc lists are read there, and sockets that no
descriptor leads to are dumped in the namespaces whose counters say that there are some.
"""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from auditor.kernel.bpf import records
from auditor.kernel.bpf.descriptors import Descriptors
from auditor.kernel.bpf.programs import Programs
from auditor.kernel.bpf.records import PortKey
from auditor.kernel.root import ProcRoot
from auditor.model import Gap, NodeFacts, NodeSample
from auditor.sweep import descriptors, dumps, egress, hidden, namespaces, node, pools, tasks, users
from auditor.sweep.bpf import budgets, listeners, unowned
from auditor.sweep.bpf.holdings import Holdings
from auditor.sweep.bpf.memory import Memory
from auditor.sweep.bpf.processes import Table
from auditor.sweep.budget import Budget
from auditor.sweep.losses import OF_DESCRIPTORS, Losses
from auditor.sweep.memory import Spare
from auditor.sweep.shown import look_from_outside

__all__ = ["Memory", "UnprovenError", "sweep"]

_TOLERANCE = 8  # descriptors of this process that other threads may open or close during a pass
_DUMP_SHARE = 0.1  # of the budget
_PATIENCE_SECONDS = 120.0  # for which a dump whose counters did not move, or what had nothing to tell, is not read anew


class UnprovenError(Exception):
    """The iterators did not show what is surely there. The text is one clause."""


def sweep(
    root: ProcRoot, programs: Programs, *, cpu_seconds: float | None, memory: Memory, snat_ports: int | None = None
) -> NodeSample:
    """Read everything about sockets and descriptors.

    Args:
        root: the live /proc of the reader's own PID namespace.
        programs: loaded.
        cpu_seconds: what a sweep should take; `None` for no bound.
        memory: of earlier sweeps.
        snat_ports: what the NAT in front of the node allows to one destination, if it is asked where connections go.

    Raises:
        UnprovenError: the programs do not see what they must. KernelError: they cannot be read any more.
    """
    began, cpu = time.monotonic(), time.thread_time()
    losses, budget = Losses(), Budget(cpu_seconds)
    listed = root.pids()
    facts, release = node.take(root, losses)
    table = Table(root, losses, memory.entries)
    table.enter(programs.tasks())
    filled = table.fill_in(listed)
    namespaces.complete(root, table.rows, losses)
    unseen = descriptors.classify(root, filled, losses, budget, Memory())
    table.forget(table.filled - {row.pid for row in filled})
    rows = table.rows
    dump_seconds = None if cpu_seconds is None else cpu_seconds * _DUMP_SHARE
    spare = Spare(memory, dump_seconds, _PATIENCE_SECONDS, egress=snat_ports is not None)
    cgroup_tasks, unseen_cgroups = tasks.take(root, rows, losses, spare)
    shown = look_from_outside(root, rows, losses, spare, tracking=True)
    own = len(os.listdir("/proc/self/fd")) - 1
    seen = _pass(programs, memory, facts, egress=snat_ports is not None)
    if not table.has_all_of(seen):  # some began meanwhile
        table.enter(programs.tasks())
    _prove(table, seen, own)
    table.count(seen)
    memory.entries = table.entered
    rows = table.rows
    holdings = Holdings(table, seen, memory, all_outside=snat_ports is not None)
    held, shared = holdings.sockets(), holdings.shared()
    network = dumps.take(
        root, rows, shown, descriptors.Holdings(), losses, spare, unowned.seen(held, table, seen.ranges)
    )
    found = pools.with_holders(root, pools.take(root, losses), rows, holdings.masters(), budget) + network.pools
    per_user, unknown_budgets = budgets.Reader(root, losses, budget, memory).take(holdings, facts)
    keys, without_keys = users.keys(root, losses)
    return NodeSample(
        at=time.time(),
        source="bpf",
        reason="sees every descriptor where it lies",
        kernel=release or "",
        facts=facts,
        processes=tuple(row.process() for row in rows),
        netns=tuple(network.netns()),
        host_netns=namespaces.of_host(rows),
        sockets=(
            *held,
            *unowned.of_unseen(root, filled, unseen),
            *unowned.take(held, network, {row.netns for row in filled}, memory),
        ),
        listeners=(*listeners.take(holdings, memory), *unowned.listeners(partial(listeners.heard, holdings), network)),
        ports=network.ports,
        snat_ports=snat_ports,
        egress=() if snat_ports is None else (*egress.of_ends(holdings.ends()), *egress.without_descriptor(network)),
        dropping=listeners.dropping(holdings),
        queueing=listeners.queueing(holdings),
        shared=shared,
        budgets=(*per_user, *keys),
        pools=found.found,
        cgroup_tasks=cgroup_tasks,
        missing=found.missing | without_keys,
        vanished=losses.vanished,
        denied=len(losses.denied_pids),
        filled_in=len(filled),
        sweep_seconds=time.monotonic() - began,
        cpu_seconds=time.thread_time() - cpu + network.cpu_seconds,
        gaps=(
            *hidden.gaps(root, rows),
            *_judged_still(losses.gaps()),
            *_judged_still(unseen.gaps()),
            *network.gaps,
            *found.gaps(),
            *unknown_budgets,
            *unseen_cgroups,
            *table.gaps(),
            *_uncounted(seen),
            *(_uncounted_egress(seen, network) if snat_ports else ()),
        ),
    )


def _judged_still(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """Take away the limits that the kernel counts itself: a process that does not show is in those counts."""
    for gap in gaps:
        yield replace(gap, limits=gap.limits - OF_DESCRIPTORS)


def _uncounted(seen: Descriptors) -> Iterator[Gap]:
    if len(seen.connections) >= records.PORTS_MAX:
        detail = f"connections at other ports than {records.PORTS_MAX:,} of those that are listened on are not counted"
        yield Gap("listener-connections", detail)


def _uncounted_egress(seen: Descriptors, network: dumps.Dumps) -> Iterator[Gap]:
    yield from egress.gaps(network, through_descriptors=True)
    if seen.more_peers >= records.PEERS_MAX:
        known = f"{records.PEERS_AT_HAND} of each process and {records.PEERS_MAX:,} more"
        detail = f"connections to other ends than {known} are not counted"
        yield Gap("egress-ends", detail, limits=frozenset({"snat-ports"}))


def _pass(programs: Programs, memory: Memory, facts: NodeFacts, *, egress: bool) -> Descriptors:
    """Visit every descriptor; twice where what to ask for is known only after a first time."""
    seen = programs.descriptors(memory.ports or frozenset(), epolls=memory.epolls, egress=egress)
    ports = _asked(seen)
    epolls = budgets.epolls_wanted(seen, facts)
    if (memory.ports is None and ports) or (epolls and not memory.epolls):
        del seen  # two at once would be the most memory that is ever needed
        seen = programs.descriptors(ports, epolls=epolls, egress=egress)
    memory.ports, memory.epolls = ports, epolls
    return seen


def _asked(seen: Descriptors) -> frozenset[PortKey]:
    """Return the ports to count the connections of at the next pass, or some of them where there are too many."""
    ports = {
        (one.netns, one.port, one.family)
        for one in seen.held
        if one.flags & records.LISTENS and one.socket == records.TCP
    }
    return frozenset(ports if len(ports) <= records.PORTS_MAX else sorted(ports)[: records.PORTS_MAX])


def _prove(table: Table, seen: Descriptors, expected: int) -> None:
    own = seen.sums.get(table.task_of(os.getpid()) or 0)
    counted = own.fds if own else 0
    if abs(counted - expected) > _TOLERANCE:
        raise UnprovenError(f"it shows {counted} of this process's {expected} descriptors")
    lost = sum(one.lost for one in seen.sums.values())
    if lost:
        raise UnprovenError(f"{lost} sockets found no room in its maps")
    if max(len(seen.budgets), len(seen.epoll_watches)) >= records.USERS_MAX:
        raise UnprovenError("users of inotify or epoll found no room in its maps")
