"""Telling gone, absent, denied and malformed apart."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.kernel.errors import Absent, Denied, Gone, Malformed
from auditor.kernel.root import MAXIMUM_BYTES, ProcRoot


def test_the_live_procfs_is_live_and_its_pids_are_our_own() -> None:
    root = ProcRoot()
    assert root.live
    assert root.own_pids
    assert os.getpid() in root.pids()


def test_a_recorded_tree_is_not_live(tmp_path: Path) -> None:
    root = ProcRoot(str(tmp_path))
    assert not root.live
    assert not root.own_pids


def test_only_numbers_are_processes(tmp_path: Path) -> None:
    for name in ("12", "3", "self", "٣", "1a", "sys"):
        (tmp_path / name).mkdir()
    assert ProcRoot(str(tmp_path)).pids() == [3, 12]


def test_a_process_that_ends_while_pinned_is_gone_and_never_another() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    root = ProcRoot()
    with root.process(child.pid) as process:
        process.read("stat")
        with pytest.raises(Absent):
            process.read("no-such-file")
        child.kill()
        child.communicate()
        for read in (process.read, process.link, process.names, process.stat):
            with pytest.raises(Gone):
                read("stat")
    with pytest.raises(Gone):
        root.process(child.pid)


def test_in_a_recorded_tree_nothing_is_ever_gone(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    root = ProcRoot(str(tmp_path))
    with root.process(7) as process, pytest.raises(Absent):
        process.read("stat")
    with pytest.raises(Absent):
        root.process(8)


def test_a_folder_or_a_fifo_where_a_file_belongs_neither_crashes_nor_blocks(tmp_path: Path) -> None:
    (tmp_path / "stat").mkdir()
    os.mkfifo(tmp_path / "limits")
    with ProcRoot(str(tmp_path)).top() as top:
        with pytest.raises(Malformed):
            top.read("stat")
        assert top.read("limits") == b""


def test_a_long_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_bytes(b"x" * MAXIMUM_BYTES)
    os.symlink("/dev/zero", tmp_path / "zero")
    with ProcRoot(str(tmp_path)).top() as top:
        assert len(top.read("cgroup")) == MAXIMUM_BYTES
        for records in (False, True):
            with pytest.raises(Malformed, match="zero: File too large"):
                top.read("zero", records=records)


def test_of_a_list_without_end_in_sight_the_wanted_lines_are_read(tmp_path: Path) -> None:
    others = b"".join(b"%d /a/long/path\n" % number * 40 for number in range(10_000))
    assert len(others) > MAXIMUM_BYTES
    (tmp_path / "mountinfo").write_bytes(b"1 nsfs\n" + others + b"2 nsfs\n" + others + b"3 nsfs")
    (tmp_path / "line").write_bytes(b"x" * (MAXIMUM_BYTES + 65536))
    os.symlink("/dev/zero", tmp_path / "zero")
    os.symlink("/dev/urandom", tmp_path / "random")
    with ProcRoot(str(tmp_path)).top() as top:
        assert top.read("mountinfo", having=b" nsfs") == b"1 nsfs\n2 nsfs\n3 nsfs"
        assert top.read("mountinfo", having=b" tmpfs") == b""
        for name in ("line", "zero", "random"):
            with pytest.raises(Malformed, match=f"{name}: File too large"):
                top.read(name, having=b" nsfs ")


def test_nothing_stays_open() -> None:
    before = os.listdir("/proc/self/fd")
    root = ProcRoot()
    with root.process(os.getpid()) as process:
        process.read("stat")
        process.names("task")
    root.pids()
    assert os.listdir("/proc/self/fd") == before


def test_a_link_that_says_nothing_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """So Linux 5.10 answers who may not know a namespace: readlink(2) succeeds and returns no byte."""
    monkeypatch.setattr(os, "readlink", lambda *_, **__: "")
    with ProcRoot().top() as top, pytest.raises(Denied, match="ns/net"):
        top.link("self/ns/net")
