"""From `helm install` to a truthful `kubectl get sockaudits`."""

from typing import Any

import psutil
import pytest
from node import cluster
from node.cluster import NAMESPACE, NODE, app, audit, events, eventually, finding, kubectl, row, run
from node.conftest import Installed

pytestmark = pytest.mark.usefixtures("installed")


def test_the_object_is_there_within_a_minute_of_helm_install(installed: Installed) -> None:
    assert installed.seconds < 60
    lines = kubectl("get", "sockaudits").splitlines()
    assert lines[0].split() == ["NAME", "VERDICT", "LIMIT", "USE", "FULL-IN", "TOP-POD", "FINDINGS", "AUDITED", "AGE"]
    assert lines[1].startswith(NODE)


def test_the_short_name_the_category_and_the_selectable_field_serve() -> None:
    assert NODE in kubectl("get", "sock")
    assert NODE in kubectl("get", "audit")

    def selected() -> bool:  # the verdict may change between the two
        verdict = audit()["status"]["verdict"]
        return NODE in kubectl("get", "sockaudits", f"--field-selector=status.verdict={verdict}")

    eventually(selected, within=60)
    assert NODE not in kubectl("get", "sockaudits", "--field-selector=status.verdict=Nothing")


def test_the_node_owns_the_object() -> None:
    owner = audit()["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("Node", NODE)
    assert owner["uid"] == cluster.get("node", NODE)["metadata"]["uid"]


def test_a_pod_with_900_of_1000_descriptors_is_named_with_exact_figures(held: dict[str, Any]) -> None:
    one = eventually(lambda: row("fds"), within=60)
    assert held["fds"] == {"fds": 900}
    worst = one["worstProcess"]
    assert (worst["fds"], worst["softLimit"], worst["hardLimit"], worst["percent"]) == (900, 1000, 1000, 90)
    assert worst["container"] == "app"
    assert one["qosClass"] == cluster.get("pod", "fds")["status"]["qosClass"]
    assert app(one)["fds"] == 900


def test_its_finding_and_its_event_say_the_same() -> None:
    found = eventually(lambda: finding("ProcessFDsHigh", "fds"), within=60)
    assert (found["severity"], found["used"], found["limit"], found["percent"]) == ("Warning", 900, 1000, 90)
    assert (found["subject"]["namespace"], found["subject"]["name"]) == ("default", "fds")
    assert "900 of 1,000" in found["message"]
    line = eventually(lambda: _line("ProcessFDsHigh", kubectl("describe", "pod", "fds")), within=30)
    assert line.split()[0] == "Warning"
    assert "900 of 1,000" in line


def _line(word: str, text: str) -> str:
    return next((line for line in text.splitlines() if word in line), "")


def test_close_wait_and_time_wait_of_a_pod_are_exact(held: dict[str, Any], installed: Installed) -> None:
    tcp = row("sockets", installed.first)["sockets"]["tcp"]
    assert tcp["timeWait"] == 200
    assert {state: tcp[state] for state in held["sockets"]} == held["sockets"]


def test_a_pod_on_the_hosts_network_is_told_apart_by_its_processes(held: dict[str, Any]) -> None:
    one = row("on-host")
    assert one["hostNetwork"] is True
    assert one["sockets"]["tcp"]["established"] == held["on-host"]["established"]
    assert one["sockets"]["tcp"]["listen"] == held["on-host"]["listen"]
    assert app(one)["fds"] == held["on-host"]["fds"]


def test_a_static_pod_is_named_and_exact(held: dict[str, Any]) -> None:
    one = row(f"static-{NODE}")
    assert one["namespace"] == "default"
    assert app(one)["fds"] == held["static"]["fds"]
    assert one["kinds"]["pipe"] >= held["static"]["pipe"]


def test_the_runtimes_own_limit_is_what_its_containers_got() -> None:
    (daemon,) = (one for one in psutil.process_iter(["name"]) if one.info["name"] == "containerd")
    hard = daemon.rlimit(psutil.RLIMIT_NOFILE)[1]
    status = audit()["status"]
    assert status["node"]["runtime"].startswith("containerd://")
    assert status["node"]["runtimeHardLimit"] == hard
    assert row(f"static-{NODE}")["worstProcess"]["hardLimit"] == hard


def test_the_finding_closes_when_the_descriptors_are_freed() -> None:
    kubectl("exec", "fds", "--", "python3", "-c", "import os, signal; os.kill(1, signal.SIGUSR1)")
    eventually(lambda: finding("ProcessFDsHigh", "fds") is None, within=90)
    told = eventually(
        lambda: [one for one in events(**{"regarding.name": "fds"}) if one["type"] == "Normal"], within=60
    )
    assert len(told) == 1


def test_the_thresholds_of_the_chart_that_match_this_node_are_in_force(installed: Installed) -> None:
    (limit,) = (one for one in installed.first["status"]["limits"] if one["name"] == "ptys")
    assert (limit["warning"], limit["critical"]) == (61, 83)
    assert "thresholds" not in {gap["id"] for gap in installed.first["status"]["coverage"]["gaps"]}


def test_neither_names_nor_cgroups_are_missing(installed: Installed) -> None:
    def gaps(document: dict[str, Any]) -> set[str]:
        return {gap["id"] for gap in document["status"]["coverage"]["gaps"]}

    assert not gaps(installed.first) & {"cgroup-tasks", "hidden-processes", "dumps"}
    eventually(
        lambda: "pod-watch" not in gaps(audit()), within=330
    )  # a slow API may list its pods after the first sweep


def test_helm_test_passes() -> None:
    assert "Succeeded" in run("helm", "test", "sockaudit", "--namespace", NAMESPACE)
