"""What is seen with fewer rights, and what is said of the rest."""

import base64
import json
import os
import pickle
import subprocess
import sys

import pytest
from truth.auditing import sysctl
from truth.starting import Start

from auditor.kernel.procfs.fd import size_is_count
from auditor.kernel.root import ProcRoot
from auditor.model import Kind, NodeSample
from auditor.sweep import sweep

NOBODY = 65534


def sample_of(text: str) -> NodeSample:
    sample = pickle.loads(base64.b64decode(text))
    assert isinstance(sample, NodeSample)
    return sample


@pytest.mark.source("procfs")
def test_without_any_right_counts_limits_and_the_own_namespace_are_still_seen(start: Start) -> None:
    truth, tcp = start("near_limit"), start("tcp", 1)
    sample = sample_of(start("sweep_as_user", NOBODY, 0)["sample"])
    rows = {process.pid: process for process in sample.processes}
    near = rows[truth["pid"]]
    assert (near.soft_limit, near.hard_limit) == (truth["soft"], truth["hard"])
    assert (near.kinds, near.private_descriptions, near.uid) == (None, None, 0)
    assert near.netns == sample.host_netns, "two processes that show one net/sockstat are in one namespace"
    assert rows[tcp["pid"]].netns is None
    gaps = {gap.id: gap for gap in sample.gaps}
    assert gaps["denied-netns"].limits == {"time-wait", "conntrack", "listen-backlog", "ephemeral-ports"}
    if size_is_count(ProcRoot()):
        assert near.fds == truth["fds"]
        assert gaps["denied-fd-kinds"].limits == {"inotify-instances", "inotify-watches", "epoll-watches"}
    else:  # before Linux 6.2 only a listing tells, which is refused
        assert near.fds is None
        assert gaps["denied-fds"].limits >= {"process-fds", "inotify-instances", "inotify-watches", "epoll-watches"}
    assert "open-descriptions" in gaps
    (home,) = sample.netns
    assert (home.inode, home.dumped) == (sample.host_netns, True)
    assert {group.holders for group in sample.sockets} <= {None, ()}
    assert sample.denied == sum(process.kinds is None for process in sample.processes)


@pytest.mark.source("procfs")
def test_processes_hidden_by_the_mount_are_said_to_be_hidden(start: Start) -> None:
    truth = start("near_limit")
    sample = sample_of(start("sweep_as_user", NOBODY, 2)["sample"])
    assert truth["pid"] not in {process.pid for process in sample.processes}
    (gap,) = (gap for gap in sample.gaps if gap.id == "hidden-processes")
    assert "process-fds" in gap.limits


@pytest.mark.source("procfs")
def test_processes_that_show_but_do_not_open_are_denied(start: Start) -> None:
    truth = start("near_limit")
    sample = sample_of(start("sweep_as_user", NOBODY, 1)["sample"])
    assert truth["pid"] not in {process.pid for process in sample.processes}
    (gap,) = (gap for gap in sample.gaps if gap.id == "denied-processes")
    assert gap.count == sample.denied
    assert sample.denied > 1


@pytest.mark.source("procfs")
def test_another_pid_namespaces_procfs_is_read_but_its_pids_are_not_compared(start: Start) -> None:
    truth = start("pid_namespace")
    root = ProcRoot(truth["root"])
    assert (root.live, root.own_pids) == (True, False)
    sample = sweep(root)
    (process,) = sample.processes
    kinds = {kind.value: count for kind, count in (process.kinds or {}).items()}
    assert sum(kinds.values()) == process.fds == sum(truth["kinds"].values()) + truth["stderr"]
    assert kinds[Kind.INOTIFY] == truth["kinds"]["inotify"]
    assert kinds[Kind.DEVICE] >= truth["kinds"]["device"]
    assert (sample.shared, process.private_descriptions) == (None, None)
    assert "open-descriptions" in {gap.id for gap in sample.gaps}
    (budget,) = (budget for budget in sample.budgets if budget.pool == "inotify-instances")
    assert budget.used == 1


NESTED = """
from auditor.kernel.root import ProcRoot
from auditor.sweep import sweep
sample = sweep(ProcRoot())
print(sample.facts.pid_max, *(gap.id for gap in sample.gaps if "pids" in gap.limits))
"""


@pytest.mark.source("procfs")
@pytest.mark.parametrize("mount", [[], ["--mount-proc"]], ids=["the host's proc", "its own proc"])
def test_in_a_pid_namespace_of_its_own_the_machines_maximum_does_not_show(mount: list[str]) -> None:
    """Since Linux 6.14, where the file shows that of the reader's namespace by whatever mount."""
    command = ["unshare", "--pid", "--fork", *mount, sys.executable, "-c", NESTED]
    maximum, *gaps = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    release = tuple(map(int, os.uname().release.split(".")[:2]))
    shown = ("None", ["pid-max"]) if release >= (6, 14) else (str(sysctl("kernel/pid_max")), [])
    assert (maximum, [gap for gap in gaps if gap != "cgroup-tasks"]) == shown
    assert sweep(ProcRoot()).facts.pid_max == sysctl("kernel/pid_max")


def test_in_a_pid_namespace_of_its_own_nothing_is_healthy(source: str) -> None:
    command = ["unshare", "-pf", "--mount-proc", sys.executable, "-m", "auditor.cli", "scan", "-o", "json"]
    done = subprocess.run([*command, "--source", source], check=True, capture_output=True, text=True)
    status = json.loads(done.stdout)["status"]
    assert (status["coverage"]["source"], status["verdict"]) == (source, "Unknown")
    (gap,) = (gap for gap in status["coverage"]["gaps"] if gap["id"] == "pid-namespace")
    assert {"process-fds", "inotify-instances", "time-wait"} <= set(gap["limits"])
