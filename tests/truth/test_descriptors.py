"""Descriptors: how many, of which kind, whose, and which are the same open file."""

from collections import Counter

import pytest
from truth.sources import sweep
from truth.starting import Start

from auditor.kernel.root import ProcRoot
from auditor.model import NodeSample, Process


def row(sample: NodeSample, pid: int) -> Process:
    (process,) = (process for process in sample.processes if process.pid == pid)
    return process


def test_every_kind_is_counted_exactly(start: Start) -> None:
    truth = start("kinds")
    process = row(sweep(ProcRoot()), truth["pid"])
    assert process.kinds == truth["kinds"]
    assert process.fds == sum(truth["kinds"].values())


def test_a_prefork_server_shares_what_it_opened_before(start: Start) -> None:
    truth = start("prefork")
    sample = sweep(ProcRoot())
    parent, children = truth["parent"], truth["children"]
    assert row(sample, parent).fds == truth["parent_fds"]
    assert {row(sample, child).fds for child in children} == {truth["child_fds"]}
    assert sample.shared is not None
    shared = {group.holders: group.count for group in sample.shared}
    everyone = tuple(sorted([parent, *children]))
    # stdin, stdout and stderr may be this test's own as well: those it holds are counted with it as a holder.
    with_family = Counter[frozenset[int]]()
    for holders, count in shared.items():
        with_family[frozenset(holders) & frozenset(everyone)] += count
    assert with_family[frozenset(everyone)] == truth["shared"]
    assert with_family[frozenset(children)] == truth["shared_by_children"]
    assert row(sample, parent).private_descriptions == 0
    assert {row(sample, child).private_descriptions for child in children} == {truth["own"]}
    sockets = [group for group in sample.sockets if group.holders and set(group.holders) & set(everyone)]
    assert [(group.holders, group.count) for group in sockets] == [(everyone, truth["sockets"])]


def test_an_inotify_instance_shared_over_fork_counts_once(start: Start) -> None:
    truth = start("prefork")
    sample = sweep(ProcRoot())
    (budget,) = (budget for budget in sample.budgets if budget.pool == "inotify-instances" and budget.uid == 0)
    everyone = tuple(sorted([truth["parent"], *truth["children"]]))
    assert {holding.holders: holding.count for holding in budget.holders}[everyone] == truth["inotify"]
    assert budget.used == sum(holding.count for holding in budget.holders)


def test_instances_are_charged_to_the_user_who_holds_them(start: Start, user: int) -> None:
    truth = start("user", user, 9)
    sample = sweep(ProcRoot())
    (budget,) = (budget for budget in sample.budgets if budget.pool == "inotify-instances" and budget.uid == user)
    assert (budget.pool, budget.used, budget.limit) == (
        "inotify-instances",
        9,
        sample.facts.inotify_max_instances,
    )
    assert [(holding.holders, holding.count) for holding in budget.holders] == [((truth["pid"],), 9)]
    assert row(sample, truth["pid"]).uid == user


def test_a_table_shared_by_two_processes_counts_once(start: Start) -> None:
    truth = start("clone_files")
    sample = sweep(ProcRoot())
    keeper, sharer = row(sample, truth["keeper"]), row(sample, truth["sharer"])
    assert (keeper.fds, keeper.table_pid, keeper.owns_table) == (truth["fds"], keeper.pid, True)
    assert (sharer.fds, sharer.kinds, sharer.table_pid, sharer.owns_table) == (None, None, keeper.pid, False)


def test_a_leader_that_ended_before_its_threads_still_holds_descriptors(start: Start) -> None:
    truth = start("zombie_leader")
    sample = sweep(ProcRoot())
    leader = row(sample, truth["pid"])
    assert (leader.fds, leader.netns, leader.owns_table) == (truth["fds"], truth["netns"], True)
    assert leader.kinds is not None
    assert sum(leader.kinds.values()) == truth["fds"]
    assert leader.private_descriptions is not None
    assert (row(sample, truth["zombie"]).fds, row(sample, truth["zombie"]).kinds) == (0, {})
    assert {group.holders for group in sample.sockets if group.netns == truth["netns"]} == {(leader.pid,)}


def test_processes_that_die_meanwhile_break_no_sum(start: Start) -> None:
    for _ in range(3):
        start("churn")
    vanished = 0
    for _ in range(25):
        sample = sweep(ProcRoot())
        vanished += sample.vanished
        pids = {process.pid for process in sample.processes}
        assert len(pids) == len(sample.processes)
        for process in sample.processes:
            if process.kinds is not None:
                assert sum(process.kinds.values()) == process.fds
            if process.private_descriptions is not None and process.fds is not None:
                assert process.private_descriptions <= process.fds
            assert process.table_pid in pids
        assert all(set(group.holders or ()) <= pids for group in sample.sockets)
        assert not [gap for gap in sample.gaps if gap.id in ("malformed", "absent-files")]
    assert vanished > 0, "the churn was too slow to be met"


@pytest.mark.source("procfs")
def test_a_spent_budget_classifies_the_nearest_to_its_limit_first(start: Start) -> None:
    start("tcp", 12)  # a table of several times the size
    truth = start("near_limit")
    budgets = (0.001 * 1.3**step for step in range(40))  # how fast the machine is does not matter
    samples = (sweep(ProcRoot(), cpu_seconds=budget) for budget in budgets)
    sample = next(one for one in samples if row(one, truth["pid"]).kinds is not None)
    (gap,) = (gap for gap in sample.gaps if gap.id == "fd-kinds")
    assert gap.limits == {"inotify-instances", "inotify-watches", "epoll-watches"}
    missed = sum(gap.count or 0 for gap in sample.gaps if gap.id in ("fd-kinds", "denied-fd-kinds"))
    assert missed == sum(process.kinds is None and process.owns_table for process in sample.processes)
    assert all(process.fds is not None for process in sample.processes if process.owns_table)


@pytest.mark.source("procfs")
def test_without_a_budget_nothing_is_classified_and_nothing_invented(start: Start) -> None:
    truth = start("kinds")
    sample = sweep(ProcRoot(), cpu_seconds=0)
    process = row(sample, truth["pid"])
    assert (process.kinds, process.fds, process.private_descriptions) == (None, sum(truth["kinds"].values()), None)
