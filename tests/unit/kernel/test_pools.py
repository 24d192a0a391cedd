"""Pools of the whole node, from recorded trees and by hand."""

from pathlib import Path

import pytest
from kernel import recorded

from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import NodeSample, Pool
from auditor.sweep import pools, sweep
from auditor.sweep.losses import Losses


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    recorded.node(tmp_path)
    recorded.process(tmp_path, 1, fds={0: "/dev/ptmx", 1: "/dev/ptmx", 2: "/dev/pts/0"})
    return tmp_path


def pool(sample: NodeSample, limit: str) -> list[tuple[str, int | None, object, int | None]]:
    return [(one.scope, one.used, one.maximum, one.pressure) for one in sample.pools if one.limit == limit]


def test_pools_of_a_recorded_tree(tree: Path) -> None:
    sample = sweep(ProcRoot(str(tree)))
    assert pool(sample, "aio") == [("", 2048, 65_536, None)]
    assert pool(sample, "ptys") == [("", 3, 3072, None)], "the reserve is the host's alone"
    (ptys,) = (one for one in sample.pools if one.limit == "ptys")
    assert [(held.holders, held.count) for held in ptys.holders] == [((1,), 2)]
    assert pool(sample, "orphans") == [("", 0, 131_072, None)]
    assert pool(sample, "tcp-memory") == [("", 4, 575_796, 383_867)]
    assert pool(sample, "udp-memory") == [("", 2, 1_151_598, 767_734)]
    assert pool(sample, "neighbours") == [("IPv4", 42, 1024, None), ("IPv6", 7, 1024, None)]
    (netns,) = sample.netns
    assert (netns.conntrack, netns.conntrack_max) == (31_022, 262_144)
    assert not sample.missing


FILES = [
    ("fs/aio-nr", "aio"),
    ("kernel/pty/reserve", "ptys"),
    ("net/ipv4/tcp_max_orphans", "orphans"),
    ("net/ipv4/tcp_mem", "tcp-memory"),
    ("net/ipv4/udp_mem", "udp-memory"),
    ("net/netfilter/nf_conntrack_count", "conntrack"),
]


@pytest.mark.parametrize(("file", "limit"), FILES)
def test_what_a_recorded_tree_lacks_is_a_gap_that_names_its_limit(tree: Path, file: str, limit: str) -> None:
    (tree / "sys" / file).unlink()
    sample = sweep(ProcRoot(str(tree)))
    (gap,) = (gap for gap in sample.gaps if gap.id == "absent-files")
    assert gap.limits == {limit}
    assert pool(sample, limit) == []
    assert limit not in sample.missing, "it could not be read, and may well be there"
    assert "conntrack-empty" not in {gap.id for gap in sample.gaps}


def test_what_a_live_kernel_lacks_is_no_limit_of_this_node() -> None:
    def absent(top: ProcDirectory) -> Pool:
        top.read("sys/fs/no-such-file")
        raise AssertionError

    root, losses = ProcRoot(), Losses()
    with root.top() as top:
        found = pools.read(root, top, [pools.Source("aio", "fs/no-such-file", absent)], losses)
    assert found == pools.Pools((), frozenset({"aio"}))
    assert not list(losses.gaps())
    (gap,) = found.gaps()
    assert (gap.id, gap.limits) == ("missing-limits", frozenset())
