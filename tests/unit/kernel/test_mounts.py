"""The list of mounts may be very long: it is not read again where it had nothing to tell, or where the answer still holds."""

import os
import subprocess
from pathlib import Path

import pytest

from auditor.kernel.procfs import mountinfo
from auditor.kernel.root import ProcRoot
from auditor.sweep import pins as room_of_pins
from auditor.sweep import tasks
from auditor.sweep.losses import OF_NAMESPACES, Losses
from auditor.sweep.memory import Memory, Spare
from auditor.sweep.processes import Row


def spare(patience: float = 120.0) -> Spare:
    return Spare(Memory(), 0.03, patience)


@pytest.mark.parametrize(
    ("pins", "patience", "asked"), [({}, 120.0, 1), ({}, 0.0, 3), ({4026532000: "/run/netns/cni-1"}, 120.0, 3)]
)
def test_a_mount_namespace_that_keeps_nothing_alive_rests(
    pins: dict[int, str], patience: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def namespaces(process: object) -> dict[int, str]:
        read.append(process)
        return pins

    monkeypatch.setattr(mountinfo, "read_namespaces", namespaces)
    some, row = spare(patience), Row(os.getpid(), 1, "it", 1, mounts=7)
    for _ in range(3):
        found = room_of_pins.find(ProcRoot(), [row, row], Losses(), some)
        assert found.keys() == pins.keys()
    assert len(read) == asked


def test_mounts_that_cannot_be_read_are_a_gap_of_what_they_keep_alive(tmp_path: Path) -> None:
    for pid in (7, 8):
        (tmp_path / str(pid)).mkdir()
        os.symlink("/dev/zero", tmp_path / str(pid) / "mountinfo")
    losses, some = Losses(), spare()
    rows = [Row(pid, 1, "it", 1, mounts=9) for pid in (7, 8)]
    assert not room_of_pins.find(ProcRoot(str(tmp_path)), rows, losses, some)
    (gap,) = losses.gaps()
    assert (gap.id, gap.count, gap.limits) == ("malformed", 1, OF_NAMESPACES)
    assert not some.memory.without_pins, "it is asked again"


def test_for_a_process_that_is_ending_another_of_its_namespace_answers() -> None:
    losses, some = Losses(), spare()
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        rows = [Row(pid, 1, "it", 1, mounts=9) for pid in (ended.pid, os.getpid())]
        found = room_of_pins.find(ProcRoot(), rows, losses, some)
    assert found or some.memory.without_pins.keys() == {9}
    assert not list(losses.gaps())


@pytest.mark.parametrize("patience", [120.0, 0.0])
def test_where_cgroups_are_mounted_is_read_once(patience: float, monkeypatch: pytest.MonkeyPatch) -> None:
    root, some = ProcRoot(), spare(patience)
    rows = [Row(os.getpid(), 1, "it", 1, cgroups=(("", "/a"), ("pids", "/a")))]
    tasks.take(root, rows, Losses(), some)
    mount = some.memory.cgroup_mount
    assert mount is not None
    again = []

    def none(process: object) -> list[mountinfo.CgroupMount]:
        again.append(process)
        return []

    monkeypatch.setattr(mountinfo, "read_cgroups", none)
    tasks.take(root, rows, Losses(), some)
    assert bool(again) == (patience == 0.0)
    assert not patience or some.memory.cgroup_mount is mount


def test_another_file_system_at_the_same_place_is_looked_for_anew() -> None:
    root, some = ProcRoot(), spare()
    rows = [Row(os.getpid(), 1, "it", 1, cgroups=(("", "/a"), ("pids", "/a")))]
    tasks.take(root, rows, Losses(), some)
    mount = some.memory.cgroup_mount
    assert mount is not None
    some.memory.cgroup_mount = mount._replace(device=mount.device + 1)
    tasks.take(root, rows, Losses(), some)
    assert some.memory.cgroup_mount is not None
    assert some.memory.cgroup_mount.device == mount.device
