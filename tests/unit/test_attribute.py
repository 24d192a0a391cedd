from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from samples import CONTAINER, HOST_NETNS, POD_A, POD_B, cgroup, in_pod, process, sample

from auditor.attribute import attribute
from auditor.attribute.destinations import ports_by_destination
from auditor.attribute.spaces import Spaces
from auditor.kernel.conntrack import Flow
from auditor.model import (
    BudgetHolding,
    Kind,
    Netns,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    Peer,
    PodIdentity,
    PortUse,
    Process,
    SharedDescriptions,
    SocketGroup,
    SocketUse,
    TcpState,
    UserBudget,
)
from auditor.sweep import flows

A, B = Owner(OwnerKind.POD, POD_A), Owner(OwnerKind.POD, POD_B)
HOST = Owner(OwnerKind.HOST)


def row(usage: NodeUsage, owner: Owner) -> OwnerUsage:
    return next(row for row in usage.owners if row.owner == owner)


def sockets(usage: NodeUsage, owner: Owner) -> SocketUse:
    found = row(usage, owner).sockets
    assert found is not None
    return found


def test_a_table_shared_by_two_processes_counts_once() -> None:
    usage = attribute(sample([process(1, in_pod(POD_A), fds=10), process(2, in_pod(POD_A), fds=10, table_pid=1)]), {})
    assert (row(usage, A).fds, row(usage, A).processes, usage.totals.fds) == (10, 2, 10)


def test_one_uncounted_table_makes_the_sum_unknown_not_smaller() -> None:
    usage = attribute(sample([process(1, in_pod(POD_A), fds=10), process(2, in_pod(POD_A), fds=None)]), {})
    assert (row(usage, A).fds, row(usage, A).kinds, usage.totals.fds) == (None, None, None)


def test_a_description_of_two_owners_counts_in_both_and_once_in_the_total() -> None:
    processes = [
        process(1, in_pod(POD_A), fds=5, private_descriptions=3),
        process(2, in_pod(POD_B), fds=4, private_descriptions=2),
    ]
    usage = attribute(sample(processes, shared=(SharedDescriptions((1, 2), 2),)), {})
    assert (row(usage, A).descriptions, row(usage, B).descriptions) == (5, 4)
    assert (usage.totals.descriptions, usage.totals.shared_descriptions) == (7, 2)


def test_sockets_without_a_descriptor_belong_to_the_only_pod_of_the_namespace() -> None:
    usage = attribute(
        sample(
            [process(1, in_pod(POD_A), netns=7), process(2, in_pod(POD_A), netns=7)],
            [SocketGroup(7, "tcp", TcpState.TIME_WAIT, (), 200), SocketGroup(7, "tcp", TcpState.CLOSE_WAIT, (1,), 50)],
        ),
        {},
    )
    assert sockets(usage, A).tcp == {TcpState.TIME_WAIT: 200, TcpState.CLOSE_WAIT: 50}
    assert usage.totals.sockets == 250


def test_sockets_without_a_descriptor_in_a_shared_namespace_are_the_hosts() -> None:
    host_pods = [process(1, in_pod(POD_A)), process(2, in_pod(POD_B)), process(3)]
    groups = [
        SocketGroup(HOST_NETNS, "tcp", TcpState.TIME_WAIT, (), 9),
        SocketGroup(HOST_NETNS, "tcp", TcpState.ESTABLISHED, (1,), 4),
        SocketGroup(HOST_NETNS, "tcp", TcpState.LISTEN, (1, 2), 1),
    ]
    usage = attribute(sample(host_pods, groups), {})
    assert sockets(usage, HOST).tcp == {TcpState.TIME_WAIT: 9}
    assert sockets(usage, A).tcp == {TcpState.ESTABLISHED: 4, TcpState.LISTEN: 1}
    assert sockets(usage, B).tcp == {TcpState.LISTEN: 1}
    assert usage.totals.sockets == 14


def test_a_namespace_that_was_not_listed_is_unknown_not_empty() -> None:
    usage = attribute(sample([process(1, in_pod(POD_A), netns=7)], netns=(Netns(7, tcp_in_use=3),)), {})
    assert (sockets(usage, A).tcp, usage.totals.sockets) == (None, None)


def test_sockets_of_a_process_that_may_be_in_any_namespace_are_unknown_not_none() -> None:
    rows = [process(10, in_pod(POD_A), netns=None), process(20, in_pod(POD_B), netns=8), process(2, kernel_thread=True)]
    found = {row.owner.id: row.sockets for row in attribute(sample(rows), {}).owners if row.sockets}
    assert (found[POD_A].tcp, found[POD_A].udp) == (None, None)
    assert (found[POD_B].tcp, found[POD_B].udp) == ({}, 0)
    assert attribute(sample(rows), {}).totals.sockets is None


def test_sockets_whose_holder_was_not_looked_for_are_unknown_where_two_might_hold_them() -> None:
    processes = [process(1, in_pod(POD_A), kinds=None), process(2, in_pod(POD_B), kinds=None), process(3)]
    group = SocketGroup(HOST_NETNS, "tcp", TcpState.ESTABLISHED, None, 5)
    usage = attribute(sample(processes, [group]), {})
    assert (sockets(usage, A).tcp, sockets(usage, B).tcp) == (None, None)
    assert sockets(usage, HOST).tcp == {}, "its only table was looked into"


def test_sockets_whose_holder_was_not_looked_for_belong_to_the_one_unclassified_owner() -> None:
    processes = [process(1, in_pod(POD_A), kinds=None), process(2, in_pod(POD_B)), process(3)]
    group = SocketGroup(HOST_NETNS, "tcp", TcpState.ESTABLISHED, None, 5)
    usage = attribute(sample(processes, [group]), {})
    assert (sockets(usage, A).tcp, sockets(usage, B).tcp) == ({TcpState.ESTABLISHED: 5}, {})


def test_sockets_that_nobody_names_make_every_figure_by_protocol_unknown() -> None:
    groups = [SocketGroup(None, "unknown", None, (1,), 1), SocketGroup(HOST_NETNS, "udp", None, (1, 2), 3)]
    usage = attribute(sample([process(1, in_pod(POD_A)), process(2, in_pod(POD_B))], groups), {})
    assert sockets(usage, A) == SocketUse(None, None, None, None)
    assert (sockets(usage, B).udp, sockets(usage, B).unix) == (3, 0)
    assert usage.totals.sockets == 4


def test_an_inotify_instance_shared_over_fork_counts_once_for_its_owner() -> None:
    processes = [
        process(1, in_pod(POD_A), uid=10001),
        process(2, in_pod(POD_A), uid=10001),
        process(3, in_pod(POD_B), uid=10001),
    ]
    budget = UserBudget(
        "inotify-instances", 10001, 4, 128, exact=False, holders=(BudgetHolding((1, 2), 3), BudgetHolding((3,), 1))
    )
    user = next(one for one in attribute(sample(processes, budgets=(budget,)), {}).users if one.uid == 10001)
    assert user.takers == {A: 3, B: 1}
    assert user.members == {A, B}


def test_tracked_connections_of_a_pod_with_very_many_peers_are_all_its_own() -> None:
    def flow(source: int, answering: int) -> Flow:
        return Flow(source.to_bytes(4, "big"), bytes(4), 443, answering.to_bytes(4, "big"), 6, 3)

    pod, other, peers = 0x0A000005, 0x0A000006, 0x5DB80000
    to_many = [flow(pod, peers + number) for number in range(7000)]
    from_many = [flow(peers + number, pod) for number in range(2000)]
    found = flows.summed([*to_many, *from_many, *[flow(other, peers)] * 1000])
    space = Netns(HOST_NETNS, conntrack=200_000, conntrack_max=262_144, flows=found)
    names = {
        POD_A: PodIdentity("shop", "crawler", POD_A, addresses=("10.0.0.5",)),
        POD_B: PodIdentity("shop", "cart", POD_B, addresses=("10.0.0.6",)),
    }
    processes = [process(1, in_pod(POD_A)), process(2, in_pod(POD_B))]
    (netns,) = attribute(sample(processes, netns=(space,)), names).netns
    assert netns.trackers == {A: 180_000, B: 20_000}


class Passes(tuple[SocketGroup, ...]):
    """Counts how often it is gone through."""

    __slots__ = ()
    number = 0

    def __iter__(self) -> Iterator[SocketGroup]:
        Passes.number += 1
        return super().__iter__()


def test_sockets_are_gone_through_once_however_many_destinations_are_asked_for() -> None:
    groups = [
        SocketGroup(netns, "tcp", TcpState.ESTABLISHED, (1,), 9, 0, (Peer("10.9.9.9", 443, netns),)) for netns in (5, 6)
    ]
    uses = [PortUse(netns, "tcp", 8, 10, "10.0.0.1", "10.9.9.9", port) for netns in (5, 6) for port in (443, 80)]
    seen = replace(sample([process(1, in_pod(POD_A))]), sockets=Passes(groups), ports=tuple(uses))
    found = list(ports_by_destination(seen, Spaces.of((), {1: A}, {5: A, 6: B}, None), {}))
    assert [one.takers for one in found] == [{A: 5}, {}, {A: 6}, {}]
    assert Passes.number == 1


def test_names_come_from_the_directory_and_a_missing_one_is_a_gap() -> None:
    identity = PodIdentity("shop", "cart-0", POD_A, containers={CONTAINER: "app"})
    usage = attribute(sample([process(1, in_pod(POD_A)), process(2, in_pod(POD_B))]), {POD_A: identity})
    assert row(usage, A).identity == identity
    assert row(usage, A).containers[0].name == "app"
    assert [(gap.id, gap.count) for gap in usage.gaps] == [("pod-names", 1)]


def test_the_worst_process_is_the_nearest_to_its_own_limit_not_the_largest() -> None:
    processes = [process(1, fds=900, soft_limit=100_000), process(2, fds=90, soft_limit=100)]
    worst = row(attribute(sample(processes), {}), HOST).worst
    assert worst is not None
    assert worst.pid == 2


def test_a_process_that_lowered_its_own_limit_is_never_the_worst() -> None:
    worst = row(attribute(sample([process(1, fds=9, soft_limit=1), process(2, fds=3)]), {}), HOST).worst
    assert worst is not None
    assert worst.pid == 2


def test_units_kernel_and_host_are_owners_of_their_own() -> None:
    unit = process(2, cgroup("/system.slice/containerd.service"))
    kernel = process(3, fds=0)._replace(kernel_thread=True)
    usage = attribute(sample([process(1), unit, kernel]), {})
    assert {row.owner.kind for row in usage.owners} == {OwnerKind.HOST, OwnerKind.UNIT, OwnerKind.KERNEL}


SLICE = f"/kubepods.slice/kubepods-pod{POD_A.replace('-', '_')}.slice"
IN_B = (f"/kubepods/pod{POD_B}", f"/kubepods/burstable/pod{POD_B}/{'d' * 64}")
PATHS = ("/", "/../..", "/system.slice/kubelet.service", f"/docker/{CONTAINER}", in_pod(POD_A)[0][1], SLICE, *IN_B)
LINES = st.tuples(st.sampled_from(["", "pids", "cpu,cpuacct"]), st.sampled_from(PATHS) | st.text(max_size=40))
ROWS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    cgroups=st.lists(LINES, max_size=3).map(tuple),
    kinds=st.dictionaries(st.sampled_from(Kind), st.integers(0, 10**6), max_size=4),
    threads=st.integers(1, 10**6),
    private_descriptions=st.integers(0, 10**6),
    kernel_thread=st.booleans(),
    netns=st.integers(1, 3) | st.none(),
    table=st.integers(0, 7),
)


def of_row(pid: int, row: dict[str, Any], pids: int) -> Process:
    """Build a process that counts its own table, or leaves that to another."""
    facts = dict(row)
    table = facts.pop("table")
    if 1 <= table <= pids and table != pid:
        return process(pid, **facts | {"kinds": None, "fds": None, "table_pid": table})
    return process(pid, **facts, fds=sum(facts["kinds"].values()))


@given(
    rows=st.lists(ROWS, max_size=6),
    shared=st.lists(st.tuples(st.sets(st.integers(1, 6), min_size=2), st.integers(1, 1000)), max_size=4),
    groups=st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(TcpState), st.sets(st.integers(1, 6)), st.integers(1, 1000)),
        max_size=6,
    ),
)
def test_sums_by_owner_equal_the_totals_and_each_process_has_one_owner(
    rows: list[dict[str, Any]],
    shared: list[tuple[set[int], int]],
    groups: list[tuple[int, TcpState, set[int], int]],
) -> None:
    processes = [of_row(pid, fields, len(rows)) for pid, fields in enumerate(rows, 1)]
    known = {one.pid for one in processes}
    descriptions = [
        SharedDescriptions(tuple(sorted(pids & known)), count) for pids, count in shared if len(pids & known) > 1
    ]
    sockets = [
        SocketGroup(netns, "tcp", state, tuple(sorted(pids & known)), count) for netns, state, pids, count in groups
    ]
    usage = attribute(sample(processes, sockets, shared=tuple(descriptions)), {})

    tables = [one for one in processes if one.owns_table and not one.kernel_thread]
    assert usage.totals.fds == sum(one.fds or 0 for one in tables) == sum(one.fds or 0 for one in usage.owners)
    assert (
        usage.totals.threads
        == sum(one.threads or 0 for one in processes)
        == sum(one.threads or 0 for one in usage.owners)
    )
    kinds = sum((Counter(one.kinds) for one in tables), Counter())
    assert kinds == sum((Counter(dict(one.kinds or {})) for one in usage.owners), Counter())
    assert len({one.owner for one in usage.owners}) == len(usage.owners)
    assert sum(one.processes for one in usage.owners) == len(processes) == usage.totals.processes
    somewhere = any(one.netns is None and one.fds != 0 and not one.kernel_thread for one in processes)
    assert usage.totals.sockets == (None if somewhere else sum(count for *_, count in groups))

    private = sum(one.private_descriptions or 0 for one in tables)
    assert usage.totals.descriptions == private + sum(one.count for one in descriptions)
    held = sum(one.descriptions or 0 for one in usage.owners)
    assert usage.totals.shared_descriptions == held - (usage.totals.descriptions or 0)
    for one in usage.owners:
        if one.fds is not None and one.owner.kind is not OwnerKind.KERNEL:
            assert sum(part.fds or 0 for part in one.containers) == one.fds
