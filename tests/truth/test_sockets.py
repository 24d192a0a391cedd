"""Sockets: states, protocols, owners, in several network namespaces at once."""

import os
import threading
from collections import Counter
from typing import Any

import pytest
from truth.starting import Start

from auditor.kernel.root import ProcRoot
from auditor.model import NodeSample, TcpState
from auditor.sweep import sweep


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
        # The buckets hold mini-sockets of both states, and the dump tells them apart. An orphan whose last
        # acknowledgement met a locked socket stays a whole one in FIN_WAIT2, so only the sum is certain.
        buckets, in_use = netns.time_wait_buckets, netns.tcp_in_use
        assert buckets is not None
        assert in_use is not None
        assert expected["tcp", "TIME_WAIT", False] < buckets
        hashed = sum(many for (name, state, _), many in expected.items() if name == "tcp" and state != "CLOSE")
        assert buckets + in_use == hashed
    assert sample.host_netns == os.stat("/proc/self/ns/net").st_ino


def test_the_reader_stays_at_home_and_pins_nothing(start: Start) -> None:
    home = os.stat("/proc/self/ns/net").st_ino
    truth = start("tcp", 1)
    before = sorted(os.listdir("/proc/self/fd"))
    sample = sweep(ProcRoot())
    assert truth["netns"] in {netns.inode for netns in sample.netns}
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert os.stat("/proc/self/ns/net").st_ino == home
    assert "netns" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("where", ["shared", "private"])
def test_a_namespace_that_only_a_mount_keeps_is_read_as_well(start: Start, where: str) -> None:
    truth = start("pinned_netns", where)
    sample = sweep(ProcRoot())
    assert truth["netns"] not in {process.netns for process in sample.processes}
    (netns,) = (netns for netns in sample.netns if netns.inode == truth["netns"])
    assert (netns.dumped, netns.time_wait_buckets, netns.tcp_in_use) == (True, truth["time_wait"], 0)
    (group,) = (group for group in sample.sockets if group.netns == truth["netns"])
    assert (group.state, group.holders, group.count) == (TcpState.TIME_WAIT, (), truth["time_wait"])


def test_a_namespace_without_sockets_is_known_to_have_none(start: Start) -> None:
    truth = start("empty_netns")
    sample = sweep(ProcRoot())
    (netns,) = (netns for netns in sample.netns if netns.inode == truth["netns"])
    assert (netns.dumped, netns.tcp_in_use, netns.time_wait_buckets) == (True, 0, 0)
    assert not [group for group in sample.sockets if group.netns == truth["netns"]]
