"""--since: what is new, gone and different."""

from pathlib import Path

import pytest
from report.fleets import NOW, Json, limit, node, report, save, workload

from auditor import cli

MONTH = 30 * 86_400


def compared(capsys: pytest.CaptureFixture[str], new: str, old: str) -> dict[tuple[str | None, str], Json]:
    found = report(capsys, "--from", new, "--since", old)["changes"]
    return {(one.get("pool") or one.get("workload"), one["what"]): one for one in found}


def test_pods_settings_limits_and_peaks_are_compared_both_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = node(
        "n",
        limit("conntrack", 9, 100, "host"),
        pods=40,
        workloads=[workload("cart", (1024, 65_536), 900), workload("calm", (1024, 1024), 500)],
        at=NOW - MONTH,
    )
    after = node(
        "n",
        limit("conntrack", 9, 200, "host"),
        pods=30,
        workloads=[workload("cart", (2048, 65_536), 300), workload("calm", (1024, 1024), 400)],
    )
    found = compared(capsys, save(tmp_path / "new", after), save(tmp_path / "old", before))
    figures = {key: (one["before"], one["after"]) for key, one in found.items()}
    assert figures == {
        ("workers", "pods"): (40, 30),
        ("workers", "pods until limit"): (70, 80),
        ("workers", "conntrack peak, percent"): (9, 4),
        ("workers", "net.netfilter.nf_conntrack_max, lowest"): (100, 200),
        ("shop/Deployment/cart", "peak of descriptors"): (900, 300),
        ("shop/Deployment/cart", "lowest soft limit"): (1024, 2048),
    }


def test_what_is_new_and_what_is_gone_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = save(tmp_path / "old", node("a", pool="left", at=NOW - MONTH, workloads=[workload("past", (9, 9), 7)]))
    new = save(tmp_path / "new", node("b", pool="came", workloads=[workload("next", (9, 9), 8)]))
    found = compared(capsys, new, old)
    assert {key: one["state"] for key, one in found.items()} == {
        ("came", "nodes"): "new",
        ("left", "nodes"): "gone",
        ("shop/Deployment/past", "peak of descriptors"): "gone",
        ("shop/Deployment/next", "peak of descriptors"): "new",
    }
    assert cli.main(["report", "--from", new, "--since", old, "-o", "markdown"]) == 0
    text = capsys.readouterr().out
    assert "| left | nodes | 1 | gone |" in text
    assert "| came | nodes | new | 1 |" in text


@pytest.mark.parametrize("output", ["table", "csv", "markdown", "html"])
def test_no_change_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    path = save(tmp_path / "a", node("n", limit("pids", 1, 10)))
    assert cli.main(["report", "--from", path, "--since", path, "-o", output]) == 0
    assert "no change" in capsys.readouterr().out.lower()


def test_a_list_that_is_newer_than_what_is_compared_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new, old = save(tmp_path / "new", node("n")), save(tmp_path / "old", node("n", at=NOW - MONTH))
    assert report(capsys, "--from", new, "--since", old)["nodes"]["notes"] == []
    (note,) = report(capsys, "--from", old, "--since", new)["nodes"]["notes"]
    assert note.startswith("what --since names is newer")
