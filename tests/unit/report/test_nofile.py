"""Descriptor limits: what a workload needs, what its runtime would have to give, and where limits are not alike."""

from pathlib import Path
from typing import Any

import pytest
from report.fleets import Json, node, report, save, workload


def advice(capsys: pytest.CaptureFixture[str], path: str) -> dict[str, Json]:
    rows = report(capsys, "--from", path)["recommendations"]
    return {one["workload"].partition("/")[2]: one for one in rows if one["kind"] == "nofile"}


def hard(name: str, soft: int, limit: int, peak: int) -> Json:
    return workload(name, (soft, soft), peak) | {"hardMin": limit, "hardMax": limit}


def pod(name: str, fds: int, worst: int, **more: Any) -> Json:
    about = {"namespace": "shop", "name": f"{name}-1", "workload": f"Deployment/{name}", "fds": fds}
    return about | {"worstProcess": {"pid": 1, "command": "java", "fds": worst}} | more


def test_the_runtimes_setting_serves_all_its_workloads_and_keeps_the_hard_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = node("n1", workloads=[hard("cart", 1024, 2_000_000, 900), hard("db", 65_536, 2_000_000, 40_000)])
    found = advice(capsys, save(tmp_path / "a", one))
    assert {name: row["recommended"] for name, row in found.items()} == {"cart": 2048, "db": 131_072}
    assert found["cart"]["setting"] == (
        "LimitNOFILE=131072:2000000 of the container runtime on nodes of workers, which serves all workloads there "
        "(2,048 is what this one needs); then make the pods anew"
    )
    assert found["db"]["setting"] == (
        "LimitNOFILE=131072:2000000 of the container runtime on nodes of workers, which serves all workloads there; "
        "then make the pods anew"
    )


def test_a_limit_above_what_the_kernel_opens_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = advice(capsys, save(tmp_path / "a", node("n1", workloads=[hard("big", 1_048_576, 1_048_576, 900_000)])))
    assert found["big"]["recommended"] == 2_097_152
    assert "LimitNOFILE=2097152:2097152 " in found["big"]["setting"]
    assert "after sysctl -w fs.nr_open=2097152 where that is lower" in found["big"]["setting"]


@pytest.mark.parametrize("soft", [0, 63])
def test_a_limit_that_a_program_took_from_itself_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], soft: int
) -> None:
    assert advice(capsys, save(tmp_path / "a", node("n1", workloads=[workload("own", (soft, soft), 0)]))) == {}


def test_a_pods_total_is_not_taken_for_a_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = node("n1", workloads=[workload("many", (1024, 1024), 5000)])
    buys = advice(capsys, save(tmp_path / "a", many))["many"]["buys"]
    assert buys == "twice the 5,000 that a pod held at its peak; on n1 a process of it may hold 1,024"
    many["status"]["pods"] = [pod("many", 4000, 40)]
    assert advice(capsys, save(tmp_path / "a", many)) == {}, "one process has a hundredth of it"
    many["status"]["pods"] = [pod("many", 4000, 2000)]
    (found,) = advice(capsys, save(tmp_path / "a", many)).values()
    assert found["recommended"] == 8192
    assert found["buys"].startswith("twice the 50 % that one process has of the 5,000 that a pod held at its peak")


def test_limits_and_peaks_are_compared_on_one_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    idle = node("n1", workloads=[workload("cart", (1024, 1024), 10)])
    busy = node("n2", workloads=[workload("cart", (65_536, 65_536), 10_000)])
    assert advice(capsys, save(tmp_path / "a", idle, busy)) == {}, "drift, but nobody is short"
    assert not any("%" in row["buys"] for row in advice(capsys, save(tmp_path / "a", busy)).values())


def test_far_too_high_a_limit_is_lowered_without_its_hard_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = node("n1", workloads=[hard("idle", 2**30, 2**30, 100)])
    (found,) = advice(capsys, save(tmp_path / "a", one)).values()
    assert found["recommended"] == 1024
    assert f"LimitNOFILE=1024:{2**30} " in found["setting"]


def test_hard_limits_that_differ_are_drift_unless_containers_are_only_older(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [node(f"n{number}", workloads=[hard("cart", 1024, limit, 9)]) for number, limit in ((1, 4096), (2, 8192))]
    path = save(tmp_path / "a", *nodes)
    assert report(capsys, "--from", path)["drift"] == [
        {
            "rule": "NofileHardDrift",
            "namespace": "shop",
            "kind": "Deployment",
            "name": "cart",
            "hardMin": 4096,
            "hardMax": 8192,
            "lowestOn": ["n1"],
            "highestOn": ["n2"],
        }
    ]
    nodes[0]["status"]["node"]["runtimeHardLimit"] = 8192
    assert [one["rule"] for one in report(capsys, "--from", save(tmp_path / "a", *nodes))["drift"]] == [
        "NofileNotEffective"
    ]


def test_every_drift_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [hard(f"svc-{number}", 1024, 4096, 9) | {"softMax": 2048} for number in range(250)]
    one = node("n1", workloads=rows)
    one["status"]["node"]["runtimeHardLimit"] = 8192
    rules = [row["rule"] for row in report(capsys, "--from", save(tmp_path / "a", one))["drift"]]
    assert (rules.count("NofileDrift"), rules.count("NofileNotEffective")) == (250, 250)
