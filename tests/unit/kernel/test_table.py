"""The processes of a BPF sweep, as tasks come and go between its passes."""

import os

import pytest

from auditor.kernel.bpf import records
from auditor.kernel.bpf.descriptors import Descriptors
from auditor.kernel.bpf.layout import layout
from auditor.kernel.bpf.records import Sums, Task
from auditor.kernel.procfs import cgroup
from auditor.kernel.root import MAXIMUM_PID, ProcRoot
from auditor.sweep.bpf.processes import Table
from auditor.sweep.losses import Losses

GONE = MAXIMUM_PID  # no process has this number
FILES = 0xFFFF_0000


def task(pid: int, *, files: int, thread: bool = False, number: int = GONE, threads: int = 1, flags: int = 0) -> Task:
    flags |= records.THREAD if thread else 0
    return Task(pid, 10, number, flags, 7, files, 9, 1024, 4096, threads, 0, 1, 0, 0, pid, 0, 0, 0, b"it")


def sums(pid: int, fds: int) -> Sums:
    empty = bytes(4 * len(records.KINDS)), bytes(4 * records.TCP_STATES)
    size = layout(Sums).size
    return Sums(records.CONSTANTS["SUMS"], size, pid, 1, fds, 0, 0, 0, 0, *empty, 0, 0, 0, 0, 0)


def entered() -> Table:
    """A leader, which ends after the first pass: a thread of it answers from then on."""
    table = Table(ProcRoot(), Losses())
    table.enter([task(10, files=FILES)])
    table.enter([task(10, files=0), task(11, files=FILES, thread=True)])
    return table


def test_a_thread_that_outlives_its_leader_meanwhile_answers_for_the_process() -> None:
    table = entered()
    table.count(Descriptors(sums={11: sums(11, 5)}))
    (row,) = table.rows
    assert (row.fds, row.owns_table, row.task) == (5, True, "task/11/")
    assert table.losses.vanished == 0


def test_a_process_whose_last_thread_ends_meanwhile_has_vanished_once() -> None:
    table = entered()
    table.count(Descriptors())
    assert table.rows == []
    assert table.losses.vanished == 1


def of_this_process(*, threads: int = 1, flags: int = 0) -> Task:
    return task(10, files=FILES, number=os.getpid(), threads=threads, flags=flags)


def after(before: Table, *tasks: Task) -> Table:
    """The table of the next sweep."""
    table = Table(ProcRoot(), Losses(), before.entered)
    table.enter(tasks)
    return table


def counted(*tasks: Task, before: Table | None = None) -> Table:
    table = after(before or Table(ProcRoot(), Losses()), *tasks)
    table.count(Descriptors(sums={10: sums(10, 5)}))
    return table


def test_a_task_that_says_what_it_said_before_is_the_same_row_and_nothing_of_it_is_counted_yet() -> None:
    said = of_this_process()
    first = counted(said)
    (row,) = first.rows
    assert (row.fds, row.kinds) == (5, {})
    assert row.cgroups
    row.private_descriptions, row.table_pid = 5, 1
    (again,) = after(first, said).rows
    assert again is row
    assert (again.fds, again.kinds, again.private_descriptions, again.owns_table) == (None, None, None, True)


def test_where_a_process_is_need_not_be_read_again_when_it_changes_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    first = counted(of_this_process())
    monkeypatch.setattr(cgroup, "read", lambda *_: pytest.fail("read"))
    (row,) = after(first, of_this_process(threads=2)).rows
    assert (row.threads, row.cgroups) == (2, first.rows[0].cgroups)
    assert row is not first.rows[0]


def test_where_one_that_is_ending_was_said_to_be_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under cgroup v1 it shows `/`."""
    said = of_this_process(flags=records.EXITING)
    first = counted(said)
    monkeypatch.setattr(cgroup, "read", lambda *_: b"0::/elsewhere\n")
    (row,) = after(first, said).rows
    assert row.cgroups == (("", "/elsewhere"),)
