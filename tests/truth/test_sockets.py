"""Sockets: states, protocols, owners, in several network namespaces at once."""

import os
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from truth.auditing import pod
from truth.sources import own_descriptors, sweep
from truth.starting import Start, workload

from auditor.attribute import attribute
from auditor.kernel.bpf.records import EVERY
from auditor.kernel.root import MAXIMUM_BYTES, ProcRoot
from auditor.model import NodeSample, TcpState
from auditor.sweep.bpf import Memory


def seen(sample: NodeSample, truth: dict[str, Any]) -> Counter[tuple[str, str, bool]]:
    """Everything in the workload's namespace, or in its hands."""
    count = Counter[tuple[str, str, bool]]()
    for group in sample.sockets:
        if group.netns == truth["netns"] or group.holders == (truth["pid"],):
            state = "" if group.state is None else group.state.name
            assert group.holders is not None
            count[group.protocol, state, bool(group.holders)] += group.count
    return count


def test_every_state_in_three_namespaces(start: Start) -> None:
    truths = [start("tcp", factor) for factor in (1, 2, 12)]  # the last one's dump takes several datagrams
    sample = sweep(ProcRoot())
    for truth in truths:
        expected = Counter({(name, state, owned): many for name, state, owned, many in truth["sockets"]})
        assert seen(sample, truth) == expected
        (netns,) = (netns for netns in sample.netns if netns.inode == truth["netns"])
        assert netns.dumped
        assert netns.time_wait_max == truth["time_wait_max"]
        closing = [one for one in sample.sockets if (one.netns, one.state) == (truth["netns"], TcpState.CLOSE_WAIT)]
        peers = Counter[tuple[str, int | None]]()
        for one in closing:
            peers.update({(peer.address, peer.port): peer.count for peer in one.peers})
        assert peers.keys() == {("127.0.0.1", None), ("::1", None)}, "clients, for the port here is a listener's"
        assert peers.total() == expected["tcp", "CLOSE_WAIT", True]
        # The buckets hold mini-sockets of both states, and the dump tells them apart. An orphan whose last
        # acknowledgement met a locked socket stays a whole one in FIN_WAIT2, so only the sum is certain.
        buckets, in_use = netns.time_wait_buckets, netns.tcp_in_use
        assert buckets is not None
        assert in_use is not None
        assert expected["tcp", "TIME_WAIT", False] < buckets
        hashed = sum(many for (name, state, _), many in expected.items() if name == "tcp" and state != "CLOSE")
        assert buckets + in_use == hashed
    assert sample.host_netns == os.stat("/proc/self/ns/net").st_ino


def test_the_other_ends_of_connections_say_whether_they_are_estimates(start: Start, uid: str, source: str) -> None:
    truth, many = start("clients", uid, 1280), 1280
    sample = sweep(ProcRoot())
    groups = [one for one in sample.sockets if (one.netns, one.state) == (truth["netns"], TcpState.ESTABLISHED)]
    to_server = [peer for one in groups for peer in one.peers if peer.port == 1024]
    assert {peer.each for peer in to_server} == {EVERY if source == "bpf" else 1}
    assert sum(peer.count for peer in to_server) == pytest.approx(many, rel=0.5 if source == "bpf" else 0)


def test_half_open_connections_are_counted_or_said_to_be_unknown(start: Start, uid: str, source: str) -> None:
    start("half_open", uid, 300)
    (row,) = (row for row in attribute(sweep(ProcRoot()), {}).owners if row.owner == pod(uid))
    assert row.sockets is not None
    assert row.sockets.tcp is not None
    assert row.sockets.half_open == (source == "bpf"), "procfs spares a dump where the counters show but a listener"
    counted = {TcpState.LISTEN: 1} | ({TcpState.SYN_RECV: 300} if source == "bpf" else {})
    assert row.sockets.tcp == counted


def test_the_reader_stays_at_home_and_pins_nothing(start: Start) -> None:
    home = os.stat("/proc/self/ns/net").st_ino
    truth = start("tcp", 1)
    before = own_descriptors()
    sample = sweep(ProcRoot())
    assert truth["netns"] in {netns.inode for netns in sample.netns}
    assert own_descriptors() == before
    assert os.stat("/proc/self/ns/net").st_ino == home
    assert "netns" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("where", ["shared", "private", "long"])
def test_a_namespace_that_only_a_mount_keeps_is_read_as_well(start: Start, where: str) -> None:
    truth = start("pinned_netns", where)
    assert (len(Path(f"/proc/{truth['pid']}/mountinfo").read_bytes()) > MAXIMUM_BYTES) == (where == "long")
    sample = sweep(ProcRoot())
    assert truth["netns"] not in {process.netns for process in sample.processes}
    (netns,) = (netns for netns in sample.netns if netns.inode == truth["netns"])
    assert (netns.dumped, netns.time_wait_buckets, netns.tcp_in_use) == (True, truth["time_wait"], 0)
    (group,) = (group for group in sample.sockets if group.netns == truth["netns"])
    assert (group.state, group.holders, group.count) == (TcpState.TIME_WAIT, (), truth["time_wait"])


@pytest.mark.timeout(60)  # else it waits for somebody to write
def test_what_is_mounted_over_a_namespace_is_not_opened(start: Start) -> None:
    truth = start("pinned_netns", "covered")
    sample = sweep(ProcRoot())
    assert truth["netns"] not in {netns.inode for netns in sample.netns}
    assert "pinned-netns" in {gap.id for gap in sample.gaps}, "and it is said"


def test_a_namespace_without_sockets_is_known_to_have_none(start: Start) -> None:
    truth = start("empty_netns")
    sample = sweep(ProcRoot())
    (netns,) = (netns for netns in sample.netns if netns.inode == truth["netns"])
    assert (netns.dumped, netns.tcp_in_use, netns.time_wait_buckets) == (True, 0, 0)
    assert not [group for group in sample.sockets if group.netns == truth["netns"]]


def of_namespace(sample: NodeSample, inode: int) -> Counter[str]:
    count = Counter[str]()
    for group in sample.sockets:
        if group.netns == inode and group.state is not None:
            count[group.state.name] += group.count
    return count


@pytest.mark.source("procfs")
def test_what_changed_is_listed_anew_and_what_did_not_is_remembered(start: Start) -> None:
    truth = start("many_netns", 12, 101)
    memory = Memory()
    sweep(ProcRoot(), cpu_seconds=0, memory=memory)  # the first lists all, whatever the budget
    truth["tell"]("5\n")
    sample = sweep(ProcRoot(), cpu_seconds=0, memory=memory)
    for rank, inode in enumerate(truth["netns"]):
        more = 2 if rank == 5 else 0
        assert of_namespace(sample, inode) == {"LISTEN": 1, "ESTABLISHED": 100 + more}
    (gap,) = (gap for gap in sample.gaps if gap.id == "stale-sockets")
    assert gap.count is not None
    strangers = {netns.inode for netns in sample.netns} - set(truth["netns"])
    assert 6 <= gap.count <= 11 + len(strangers)
    before = {inode: memory._namespaces[inode].dump.at for inode in truth["netns"]}
    for _ in range(20):
        sweep(ProcRoot(), cpu_seconds=0, memory=memory)
    for inode, at in before.items():
        assert memory._namespaces[inode].dump.at != at, "all are listed anew in the end"
    assert "stale-sockets" not in {gap.id for gap in sweep(ProcRoot(), memory=memory).gaps}


def test_no_namespace_outlives_its_pod(start: Start, uid: str) -> None:
    """A pair of virtual interfaces ends when the namespace of either does: the far end tells."""
    witness = start("empty_netns")
    memory = Memory()
    far = ["nsenter", "--target", str(witness["pid"]), "--net", "ip", "link", "show", "far"]
    with workload("tcp", 1, uid) as truth:
        near = ["nsenter", "--target", str(truth["pid"]), "--net", "ip", "link", "add", "near", "type", "veth"]
        subprocess.run([*near, "peer", "name", "far", "netns", str(witness["pid"])], check=True)
        for _ in range(3):
            sample = sweep(ProcRoot(), cpu_seconds=0, memory=memory)
        assert truth["netns"] in {netns.inode for netns in sample.netns}
        assert subprocess.run(far, capture_output=True, check=False).returncode == 0
    deadline = time.monotonic() + 120  # the kernel takes namespaces apart at its leisure
    while subprocess.run(far, capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < deadline, "the namespace lives on, and no sweep was needed to let go of it"
        time.sleep(0.1)
    gone = sweep(ProcRoot(), cpu_seconds=0, memory=memory)
    assert truth["netns"] not in {netns.inode for netns in gone.netns}
    assert truth["netns"] not in memory._namespaces
