"""What is taken from an earlier sweep, and what is read anew."""

import time
from array import array
from pathlib import Path
from types import SimpleNamespace

import pytest
from kernel import recorded

from auditor.kernel.procfs.fd import Listing
from auditor.kernel.root import ProcRoot
from auditor.model import Kind
from auditor.sweep import memory as module
from auditor.sweep import sweep
from auditor.sweep.dumped import Sockets, TcpDump
from auditor.sweep.memory import MAXIMUM_LINKS, Memory, Spare


def dumped(at: float, seconds: float = 1.0) -> TcpDump:
    return TcpDump(Sockets(), {}, seconds, at)


def table(files: int) -> Listing:
    return Listing({Kind.FILE: files}, (array("Q"), array("Q")), [("/file", number) for number in range(files)])


def test_what_had_nothing_to_tell_rests_for_a_while() -> None:
    now = time.monotonic()
    known = {1: now - 5, 2: now - 500, 9: now}
    assert Spare(Memory(), 1.0, 120.0).resting(known, {1, 2, 3}) == {1: now - 5}
    assert not Spare(Memory(), 1.0).resting(known, {1, 2, 3}), "without patience each is asked"
    assert not Spare(Memory(), None, 120.0).resting(known, {1, 2, 3}), "and where nothing is spared"


def test_unchanged_namespaces_are_listed_anew_oldest_first_as_far_as_the_budget_goes() -> None:
    memory = Memory()
    prints = {1: 10, 2: 20, 3: 30, 4: 40}
    now = time.monotonic()
    found = {1: dumped(now - 10), 2: dumped(now - 40), 3: dumped(now - 30), 4: TcpDump(Sockets(), {})}
    memory.keep_namespaces(prints, found)
    assert set(memory.reusable(prints, 2.0)) == {1}, "namespace 4 needed no dump, so there is nothing to reuse"
    assert set(memory.reusable(prints, 1.5)) == {1, 3}
    assert set(memory.reusable(prints, 0.0)) == {1, 3}, "one at least, so that all are in the end"
    assert memory.reusable(prints, None) == {}
    assert set(memory.reusable(prints | {1: 11}, 0.0)) == {3}, "what changed is never taken from memory"
    assert set(memory.reusable({3: 30, 2: 20}, 0.0)) == {3}
    memory.keep_namespaces({1: 10}, {1: found[1]})
    assert memory._namespaces.keys() == {1}


def test_a_table_is_remembered_as_long_as_it_is_of_the_same_process_and_size() -> None:
    memory = Memory()
    memory.keep_table(5, 100, table(3))
    assert memory.table(5, 100, 3)
    assert memory.table(5, 101, 3) is None
    assert memory.table(5, 100, 4) is None
    assert memory.table(6, 100, 3) is None
    memory.keep_only({6})
    assert memory.table(5, 100, 3) is None


def test_memory_is_bounded() -> None:
    memory = Memory()
    memory.keep_table(1, 1, table(MAXIMUM_LINKS - 10))
    memory.keep_table(2, 1, table(11))
    assert memory.table(2, 1, 11) is None
    memory.keep_table(3, 1, table(10))
    assert memory.table(3, 1, 10)
    memory.keep_only({3})
    memory.keep_table(2, 1, table(11))
    assert memory.table(2, 1, 11)


def test_without_budget_a_table_of_the_same_size_is_as_it_was_and_one_that_grew_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in (10, 11):
        recorded.process(tmp_path, pid, fds=dict.fromkeys(range(5), "/etc/passwd"))
    memory, root = Memory(), ProcRoot(str(tmp_path))
    sweep(root, memory=memory)
    (tmp_path / "11" / "fd" / "5").symlink_to("/etc/group")
    later = time.monotonic() + 150
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: later))
    sample = sweep(root, cpu_seconds=0, memory=memory)
    kinds = {process.pid: process.kinds for process in sample.processes}
    assert kinds[10] == {Kind.FILE: 5}
    assert kinds[11] is None
    gaps = {gap.id: gap for gap in sample.gaps}
    assert (gaps["fd-kinds"].count, gaps["stale-fd-kinds"].count) == (1, 1)
    assert gaps["stale-fd-kinds"].detail.endswith("up to 3 min old")
    assert not gaps["stale-fd-kinds"].limits
    fresh = sweep(root, cpu_seconds=60, memory=memory)
    assert {process.pid: process.kinds for process in fresh.processes}[11] == {Kind.FILE: 6}
    assert not {"fd-kinds", "stale-fd-kinds"} & {gap.id for gap in fresh.gaps}
