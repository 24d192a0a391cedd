"""The processes of a BPF sweep, as tasks come and go between its passes."""

from auditor.kernel.bpf import records
from auditor.kernel.bpf.descriptors import Descriptors
from auditor.kernel.bpf.records import Sums, Task
from auditor.kernel.root import MAXIMUM_PID, ProcRoot
from auditor.sweep.bpf.processes import Table
from auditor.sweep.losses import Losses

GONE = MAXIMUM_PID  # no process has this number
FILES = 0xFFFF_0000


def task(pid: int, *, files: int, thread: bool = False) -> Task:
    flags = records.THREAD if thread else 0
    return Task(pid, 10, GONE, flags, 7, files, 0, 1024, 4096, 1, 0, 1, 0, 0, pid, 0, 0, 0, b"it")


def sums(pid: int, fds: int) -> Sums:
    empty = bytes(4 * len(records.KINDS)), bytes(4 * records.TCP_STATES)
    return Sums(records.CONSTANTS["SUMS"], pid, 1, fds, 0, 0, 0, 0, *empty, 0, 0, 0, 0, 0)


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
