from dataclasses import replace

from samples import CONTAINER, HOST_NETNS, POD_A, POD_B, cgroup, in_pod, process, sample

from auditor.attribute import attribute
from auditor.model import (
    BudgetHolding,
    Netns,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    PodIdentity,
    SharedDescriptions,
    SocketGroup,
    SocketUse,
    TcpState,
    UserBudget,
)

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
    kernel = replace(process(3, fds=0), kernel_thread=True)
    usage = attribute(sample([process(1), unit, kernel]), {})
    assert {row.owner.kind for row in usage.owners} == {OwnerKind.HOST, OwnerKind.UNIT, OwnerKind.KERNEL}
