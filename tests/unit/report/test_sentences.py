"""The first screen: what ends first, after how many more pods, what to change, and how much of it is known."""

from pathlib import Path

import pytest
from report.fleets import POOL, Json, limit, node, report, save, share

from auditor import cli


def said(capsys: pytest.CaptureFixture[str], path: Path, *nodes: Json) -> list[str]:
    found: list[str] = report(capsys, "--from", save(path / "a", *nodes))["sentences"]
    return found


def test_where_the_slots_end_first_it_says_what_is_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, tmp_path, node("n1", limit("pids", 10, 1000, **share(1))))
    assert found == [
        "Pool workers runs out of pod slots first, after 70 more pods on n1.",
        "More pods than that take another node, or a higher maxPods of the kubelet; pids is next, after 890 more pods.",
        "The one node reported: OK.",
    ]


def test_a_limit_that_is_nearly_full_is_named_though_nobody_knows_what_a_pod_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = limit("conntrack", 950, 1000, "host")
    found = said(capsys, tmp_path, node("n1", limit("pids", 10, 1000, **share(1)), full))
    assert found[0] == (
        "Pool workers runs out of pod slots first, after 70 more pods on n1; what pods take of conntrack of pool workers "
        "(95 %) is unknown."
    )
    assert found[1].startswith("sysctl -w net.netfilter.nf_conntrack_max=2048 on nodes of workers buys 53 % headroom")
    assert said(capsys, tmp_path, node("n1", full, pods=1) | {"metadata": {"name": "n1"}})[0].startswith(
        "The cluster runs out of pod slots first, after 109 more pods on n1; what pods take of conntrack of the cluster"
    )


def test_all_that_end_together_are_named_and_changed_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = node("n1", limit("conntrack", 95, 100, "host", **share(1)), limit("aio", 10, 100, **share(1)))
    other = node("n2", limit("pids", 95, 100, **share(1)))
    path = save(tmp_path / "a", one, other)
    found = report(capsys, "--from", path)
    (pool,) = found["pools"]
    assert (pool["endsFirst"], pool["alsoEnds"]) == ("conntrack", ["pids"])
    assert found["sentences"][0] == "Pool workers runs out of conntrack and pids first, after 0 more pods on n1."
    assert found["sentences"][1] == (
        "sysctl -w net.netfilter.nf_conntrack_max=256 on n1, where it is lower; sysctl -w kernel.pid_max=256 on n2, where "
        "it is lower: together they buy room for 70 more pods instead of 0 on the tightest node."
    )
    for output in ("table", "csv", "markdown", "html"):
        assert cli.main(["report", "--from", path, "-o", output]) == 0
        assert "conntrack, pids" in capsys.readouterr().out


def test_pools_that_end_together_are_all_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = limit("pids", 95, 100, **share(1))
    nodes = [node(f"n{number}", full, pool=f"pool-{number}") for number in range(6)]
    assert said(capsys, tmp_path, *nodes)[0] == (
        "Pool pool-0 runs out of pids first, after 0 more pods on n0; just as soon pool pool-1 (pids), "
        "pool pool-2 (pids), pool pool-3 (pids) and 2 more pools."
    )


def test_verdicts_silent_nodes_and_unknown_room_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = limit("pids", 10, 100, **share(1))
    nodes = [node(f"n{number}", row, verdict="Critical") for number in range(9)]
    blind = node("blind", limit("aio", 1, 10))
    del blind["status"]["node"]["pods"]
    path = save(tmp_path / "a", *nodes, blind, node("gone", at=None))
    found = report(capsys, "--from", path)
    assert found["sentences"][2] == (
        "1 of 11 nodes did not report in time, and is in no figure; the others say: 9 Critical, 1 OK; of 1 it is unknown how "
        "many more pods fit."
    )
    (pool,) = found["pools"]
    assert (pool["unknownNodes"], pool["podsUnknownNodes"]) == (1, 1)
    for output in ("table", "csv", "markdown", "html"):
        assert cli.main(["report", "--from", path, "-o", output]) == 0
        text = capsys.readouterr().out
        assert "at least 360" in text, "of pods"
        assert "at least 630" in text, "of more pods"
        assert "9 Critical" in text or "Nodes,Critical,9" in text


def test_nothing_at_all_and_nobody_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, tmp_path) == ["No node was found."]
    assert said(capsys, tmp_path, node("a", at=None), node("b", at=None)) == [
        "How many more pods fit is unknown: no node reported in time.",
        "2 of 2 nodes did not report in time, and are in no figure.",
    ]
    assert cli.main(["report", "--from", save(tmp_path / "a"), "-o", "csv"]) == 0
    assert capsys.readouterr().out.startswith("Nodes,total,0\r\n")


@pytest.mark.parametrize("output", ["csv", "markdown"])
def test_what_does_not_apply_is_empty_and_what_is_unknown_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    path = save(tmp_path / "a", node("n1", limit("pids", 90, 100), limit("aio", None, 10)))
    assert cli.main(["report", "--from", path, "-o", output]) == 0
    text = capsys.readouterr().out
    (advice,) = [line for line in text.splitlines() if line.startswith(("| sysctl |", "To change,sysctl,"))]
    assert "?" not in advice
    assert "more pods on one node" in text


@pytest.mark.parametrize(
    "label",
    [
        "karpenter.sh/provisioner-name",
        "doks.digitalocean.com/node-pool",
        "agentpool",
        "kops.k8s.io/instancegroup",
        "node.kubernetes.io/instance-type",
    ],
)
def test_providers_labels_name_the_pool(tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str) -> None:
    one, other = node("a"), node("b")
    one["metadata"]["labels"] = {label: "here"}
    other["metadata"]["labels"] = {label: "here", POOL: "named"}
    found = report(capsys, "--from", save(tmp_path / "a", one, other))["pools"]
    assert {pool["name"] for pool in found} == {"here", "named"}


def test_a_label_that_no_node_has_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "a", node("a"))
    (note,) = report(capsys, "--from", path, "--by", "typo/label")["nodes"]["notes"]
    assert note.startswith("no node has the label typo/label")
    assert report(capsys, "--from", path, "--by", POOL)["nodes"]["notes"] == []
    assert cli.main(["report", "--from", path, "--by", "typo/label"]) == 0
    assert "note: no node has the label typo/label" in capsys.readouterr().out
