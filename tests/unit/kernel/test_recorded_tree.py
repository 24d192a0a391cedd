"""Sweeps of recorded trees: what is there is counted, what is not is a gap, and nothing crashes."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel import recorded

from auditor.kernel.root import ProcRoot
from auditor.model import UNLIMITED, CgroupTasks, Kind, NodeSample, Process
from auditor.sweep import SweepError, sweep
from auditor.sweep.pools import NETWORK

FDS = {0: "/dev/null", 1: "pipe:[11]", 2: "pipe:[11]", 3: "socket:[12]", 4: "anon_inode:inotify", 5: "/etc/passwd"}


CONTAINER_CGROUP = recorded.CGROUP.format(id="f" * 64).strip().removeprefix("0::/")
POD_CGROUP = CONTAINER_CGROUP.rpartition("/")[0]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    recorded.node(tmp_path)
    recorded.process(tmp_path, 1, comm=b"systemd", fds={0: "/dev/null", 9: "socket:[12]"})
    recorded.process(tmp_path, 2, comm=b"kthreadd", flags=0x208040, netns=None)
    recorded.process(tmp_path, 40, comm=b"ja)va", uid=1000, threads=31, soft=8, hard="unlimited", fds=FDS, start=77)
    recorded.process(tmp_path, 41, state="Z", netns=None)
    recorded.cgroup_tasks(
        tmp_path, {CONTAINER_CGROUP: (3, "max"), POD_CGROUP: (40, "50"), "kubepods.slice": (40, "400")}
    )
    return tmp_path


def taken(tree: Path) -> NodeSample:
    return sweep(ProcRoot(str(tree)))


def gaps(sample: NodeSample) -> dict[str, frozenset[str]]:
    return {gap.id: gap.limits for gap in sample.gaps}


def test_a_whole_tree(tree: Path) -> None:
    sample = taken(tree)
    rows = {process.pid: process for process in sample.processes}
    assert rows[40] == Process(
        pid=40,
        start=77,
        command="ja)va",
        uid=1000,
        threads=31,
        cgroups=(("", recorded.CGROUP.format(id="f" * 64).strip().removeprefix("0::")),),
        netns=recorded.HOST_NETNS,
        soft_limit=8,
        hard_limit=UNLIMITED,
        fds=6,
        table_pid=40,
        kinds={Kind.DEVICE: 1, Kind.PIPE: 2, Kind.SOCKET: 1, Kind.INOTIFY: 1, Kind.FILE: 1},
    )
    assert (rows[2].kernel_thread, rows[2].fds) == (True, 0)
    assert (rows[41].fds, rows[41].kinds) == (0, {})
    assert (sample.facts.tasks, sample.facts.file_handles, sample.facts.file_max) == (1031, 9312, UNLIMITED)
    assert (sample.facts.pid_max, sample.facts.threads_max) == (4194304, 254310)
    assert (sample.kernel, sample.source, sample.host_netns) == ("6.1.0-23-amd64", "procfs", recorded.HOST_NETNS)
    (netns,) = sample.netns
    assert (netns.time_wait_buckets, netns.tcp_in_use, netns.time_wait_max, netns.dumped) == (12, 10, 131072, False)
    assert [(one.pool, one.scope, one.uid, one.used, one.limit, one.exact) for one in sample.budgets] == [
        ("inotify-instances", "", 1000, 1, 128, False),
        ("inotify-watches", "", 1000, 3, 524_288, False),
        ("keys", "", 0, 5, 1_000_000, True),
        ("keys", "bytes", 0, 70, 25_000_000, True),
        ("keys", "", 1000, 2, 200, True),
        ("keys", "bytes", 1000, 24, 20_000, True),
    ]
    assert sample.cgroup_tasks == (
        CgroupTasks("/kubepods.slice", 40, 400),
        CgroupTasks(f"/{POD_CGROUP}", 40, 50),
    )
    assert sample.shared is None
    assert {"netns-sockets", "socket-protocols", "open-descriptions", "procfs"} == set(gaps(sample))


def test_sockets_whose_protocol_no_kernel_tells_are_not_called_anything(tree: Path) -> None:
    (group,) = taken(tree).sockets
    assert (group.protocol, group.state, group.holders, group.count) == ("unknown", None, (1, 40), 1)


def test_maxima_by_which_the_kernel_means_none(tree: Path) -> None:
    (tree / "sys/net/ipv4/tcp_max_tw_buckets").write_text("-1\n")
    (tree / "sys/net/netfilter/nf_conntrack_max").write_text("0\n")
    sample = taken(tree)
    (netns,) = sample.netns
    assert (netns.time_wait_max, netns.conntrack, netns.conntrack_max) == (UNLIMITED, 31_022, UNLIMITED)
    assert "malformed" not in gaps(sample)


FILES = [
    ("40/limits", "process-fds"),
    ("40/status", "inotify-instances"),
    ("40/fd", "process-fds"),
    ("40/ns/net", "time-wait"),
    ("loadavg", "pids"),
    ("sys/fs/file-nr", "file-handles"),
    ("sys/fs/file-max", "file-handles"),
    ("sys/kernel/pid_max", "pids"),
    ("sys/kernel/threads-max", "threads"),
    ("sys/fs/inotify/max_user_instances", "inotify-instances"),
    ("sys/fs/inotify/max_user_watches", "inotify-watches"),
    ("sys/fs/epoll/max_user_watches", "epoll-watches"),
    ("key-users", "keys"),
    ("sys/net/ipv4/tcp_max_tw_buckets", "time-wait"),
]


@pytest.mark.parametrize(("name", "limit"), FILES)
def test_a_missing_file_is_a_gap_that_names_its_limit(tree: Path, name: str, limit: str) -> None:
    path = tree / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert limit in gaps(taken(tree))["absent-files"]


@pytest.mark.parametrize(("name", "limit"), FILES)
def test_a_malformed_file_is_a_gap_with_an_example(tree: Path, name: str, limit: str) -> None:
    path = tree / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("")
    else:
        path.unlink()
        path.symlink_to("nonsense") if name.endswith("ns/net") else path.write_bytes(b"\xff(\n")
    sample = taken(tree)
    if name == "40/fd":
        assert limit in gaps(sample)["absent-files"]
        return
    (gap,) = (gap for gap in sample.gaps if gap.id == "malformed")
    assert limit in gap.limits
    assert gap.count == 1


def test_an_instance_whose_watches_cannot_be_read_is_unknown_not_empty(tree: Path) -> None:
    shutil.rmtree(tree / "40" / "fdinfo")
    sample = taken(tree)
    assert [one.used for one in sample.budgets if one.pool == "inotify-watches"] == [None]
    assert gaps(sample)["absent-files"] == {"inotify-watches"}


def test_without_a_budget_watches_are_not_counted(tree: Path) -> None:
    sample = sweep(ProcRoot(str(tree)), cpu_seconds=0)
    assert not [one for one in sample.budgets if one.pool != "keys"]
    assert gaps(sample)["fd-kinds"] == {"inotify-instances", "inotify-watches", "epoll-watches"}


def test_a_cgroup_file_system_of_version_1(tree: Path) -> None:
    shutil.rmtree(tree / "1" / "root")
    recorded.cgroup_tasks(tree, {"system.slice/a.service": (7, "9"), POD_CGROUP: (1, "2")}, v1=True)
    for pid in (1, 40, 41):
        (tree / str(pid) / "cgroup").write_text(f"5:cpu:/x\n4:pids:/system.slice/a.service\n0::/{POD_CGROUP}\n")
    assert taken(tree).cgroup_tasks == (CgroupTasks("/system.slice/a.service", 7, 9),)


def test_of_two_cgroup_mounts_the_one_that_shows_more_is_read(tree: Path) -> None:
    recorded.cgroup_tasks(tree, {"system.slice/a.service": (7, "9")})
    mounts = tree / "1" / "mountinfo"
    own = "24 1 0:22 /kubepods/podx/own /own rw,nosuid - cgroup2 cgroup2 rw\n"
    mounts.write_text(own + mounts.read_text())
    (tree / "40" / "cgroup").write_text("0::/system.slice/a.service\n")
    assert CgroupTasks("/system.slice/a.service", 7, 9) in taken(tree).cgroup_tasks


@pytest.mark.parametrize("file", ["1/mountinfo", "1/root"])
def test_without_the_cgroup_file_system_the_limits_of_pods_are_a_gap(tree: Path, file: str) -> None:
    path = tree / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert gaps(taken(tree))["cgroup-tasks"] == {"pids"}


def test_a_cgroup_that_was_not_recorded_or_holds_nonsense_is_a_gap(tree: Path) -> None:
    folder = tree / "1" / "root" / "sys" / "fs" / "cgroup" / POD_CGROUP
    (folder / "pids.current").write_text("many")
    assert gaps(taken(tree))["malformed"] == {"pids"}
    shutil.rmtree(folder)
    assert "pids" in gaps(taken(tree))["absent-files"]


@pytest.mark.parametrize("path", ["/../../kubepods/podx", "/a/../../../../etc", "/a\0b"])
def test_a_cgroup_outside_of_the_mounted_tree_is_a_gap(tree: Path, path: str) -> None:
    (tree / "40" / "cgroup").write_text(f"0::{path}\n")
    assert gaps(taken(tree))["cgroup-tasks"] == {"pids"}


def test_a_process_without_stat_cannot_be_named(tree: Path) -> None:
    (tree / "40" / "stat").unlink()
    sample = taken(tree)
    assert {process.pid for process in sample.processes} == {1, 2, 41}
    assert "process-fds" in gaps(sample)["absent-files"]


def test_without_process_1_nobody_knows_whose_sysctls_those_of_the_network_are(tree: Path) -> None:
    shutil.rmtree(tree / "1")
    sample = taken(tree)
    assert {pool.limit for pool in sample.pools}.isdisjoint(NETWORK)
    assert gaps(sample)["absent-files"] >= frozenset(NETWORK)


def test_without_any_sysctl_of_the_network_conntrack_is_unknown_not_missing(tree: Path) -> None:
    shutil.rmtree(tree / "sys" / "net" / "netfilter")
    assert "conntrack" in taken(tree).missing, "it was not loaded"
    shutil.rmtree(tree / "sys" / "net")
    sample = taken(tree)
    assert "conntrack" not in sample.missing
    assert gaps(sample)["absent-files"] >= {"conntrack", "time-wait", "ephemeral-ports", *NETWORK}


def test_a_zombie_leaders_living_thread_answers_for_it(tree: Path) -> None:
    folder = recorded.process(tree, 50, state="Z", threads=3, netns=None)
    for task in ("50", "51"):
        (folder / "task" / task / "fd").mkdir(parents=True)
        (folder / "task" / task / "ns").mkdir()
    os.symlink("net:[4026539999]", folder / "task" / "51" / "ns" / "net")
    for number in range(5):
        os.symlink("/etc/passwd", folder / "task" / "51" / "fd" / str(number))
    row = next(process for process in taken(tree).processes if process.pid == 50)
    assert (row.fds, row.kinds, row.netns) == (5, {Kind.FILE: 5}, 4026539999)


@pytest.mark.parametrize("text", ["4096", "-", ""])
def test_the_size_a_recorded_folder_shows_is_not_a_count(tree: Path, text: str) -> None:
    (tree / "40" / "fd" / f"not-a-number{text}").write_text(text)
    row = next(process for process in taken(tree).processes if process.pid == 40)
    assert (row.fds, sum((row.kinds or {}).values())) == (6, 6)


@pytest.mark.parametrize("name", ["99999999999999999999999", "٣", "-1", "1.5", "self"])
def test_names_that_are_no_descriptors_are_not_counted(tree: Path, name: str) -> None:
    os.symlink("socket:[99999999999999999999999999]", tree / "40" / "fd" / name)
    os.symlink("socket:[99999999999999999999999999]", tree / "40" / "fd" / "77")
    row = next(process for process in taken(tree).processes if process.pid == 40)
    assert (row.fds, sum((row.kinds or {}).values())) == (7, 7)


@given(target=st.binary(min_size=1, max_size=100).filter(lambda data: b"\0" not in data))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_link_crashes_a_sweep(tree: Path, target: bytes) -> None:
    for name in ("40/fd/88", "40/ns/net"):
        path = tree / name
        path.unlink(missing_ok=True)
        os.symlink(target, os.fsencode(path))
    row = next(process for process in taken(tree).processes if process.pid == 40)
    assert (row.fds, sum((row.kinds or {}).values())) == (7, 7)


def test_no_procfs_at_all_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(SweepError, match="--procfs") as error:
            sweep(ProcRoot(str(path)))
        assert "\n" not in str(error.value)


def test_a_tree_of_sysctls_only_is_a_tree(tmp_path: Path) -> None:
    recorded.node(tmp_path)
    sample = taken(tmp_path)
    assert (sample.processes, sample.facts.tasks) == ((), 1031)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_crashes_a_sweep(tree: Path, data: st.DataObject) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    path = data.draw(st.sampled_from(files))
    before = path.read_bytes()
    path.write_bytes(data.draw(st.binary(max_size=200)))
    try:
        sample = taken(tree)
    finally:
        path.write_bytes(before)
    for process in sample.processes:
        assert process.kinds is None or sum(process.kinds.values()) == process.fds
