"""The plugin and the report from a cluster, against an API that serves pages."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube.fake_api import FakeApi, Fault, refusal
from publish.audits import status, troubled
from report.fleets import POOL, Json, limit, node, share

from auditor import cli
from auditor.publish import object as shape
from auditor.publish.when import timestamp

OBJECTS = "/apis/sockaudit.io/v1alpha1/sockaudits"


def whole(name: str, at: float) -> Json:
    """An object as the agent writes it: shop/cart-7c9 at 96 % of its descriptors."""
    body = shape.plain(status(troubled())) | {"observedAt": timestamp(at)}
    return {"kind": "SockAudit", "metadata": {"name": name, "labels": {POOL: "workers"}}, "status": body}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    api = FakeApi()
    with api.serving():
        monkeypatch.setenv("TEST_KUBECONFIG", api.kubeconfig(tmp_path))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        monkeypatch.setattr(sys, "argv", ["kubectl-sockaudit"])
        yield api


def says(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    sys.argv = ["kubectl-sockaudit", *arguments, "--kubeconfig", os.environ["TEST_KUBECONFIG"]]
    assert cli.kubectl() == 0
    return capsys.readouterr().out


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    sys.argv = ["kubectl-sockaudit", *arguments, "--kubeconfig", os.environ["TEST_KUBECONFIG"]]
    assert cli.kubectl() == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_report_reads_all_pages_and_names_nodes_without_an_object(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1_795_000_000
    api.collections[OBJECTS] = [
        node(f"n{number:03}", limit("pids", 1, 10, **share(1)), at=now) for number in range(600)
    ]
    api.collections["/api/v1/nodes"] = [{"metadata": {"name": f"n{number:03}"}} for number in range(602)]
    found = json.loads(says(capsys, "report", "-o", "json"))
    assert (found["nodes"]["total"], found["nodes"]["missing"]) == (602, ["n600", "n601"])
    assert len(found["nodes"]["stale"]) == 600, "against a cluster the clock is now"
    assert [one.query.get("continue") for one in api.asked("GET", "sockaudits")] == [None, "250", "500"]


def test_what_the_cluster_refuses_is_one_line(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.faults.append(Fault("GET", "sockaudits", 403, refusal(403, "Forbidden", message="no list for you")))
    assert fails(capsys, "report") == (
        "sockaudit: 403 Forbidden: no list for you. Use --from FILE to read a saved list, or check --context.\n"
    )
    api.faults.append(Fault("GET", "sockaudits", 403, refusal(403, "Forbidden", message="no list for you")))
    assert fails(capsys, "top", "nodes") == (
        "sockaudit: 403 Forbidden: no list for you. Check --context and --kubeconfig.\n"
    ), "there is no --from"
    api.faults.append(Fault("GET", "sockaudits", 410, refusal(410, "Expired")))
    assert "grew too old" in fails(capsys, "top", "nodes")
    api.installed = False
    assert "install the chart first" in fails(capsys, "top", "pods", "-A")
    assert "Check --context" in fails(capsys, "top", "pods", "--context", "nowhere")


def test_nodes_that_may_not_be_listed_are_said(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.collections[OBJECTS] = [node("n")]
    api.faults.append(Fault("GET", "nodes", 403, refusal(403, "Forbidden", message="no")))
    found = json.loads(says(capsys, "report", "-o", "json"))
    assert "nodes cannot be listed" in found["nodes"]["refused"][0]


def test_what_the_api_calls_a_node_is_cleaned(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.collections[OBJECTS] = []
    api.collections["/api/v1/nodes"] = [
        {"metadata": {"name": "n\x1b[31m" + "x" * 9000}},
        {"metadata": {}},
        {"metadata": 5},
    ]
    (missing,) = json.loads(says(capsys, "report", "-o", "json"))["nodes"]["missing"]
    assert missing.startswith("n?[31mxxx")
    assert len(missing) < 300


def test_top(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.collections[OBJECTS] = [whole("node-a", 1_795_000_000), {"metadata": {"name": "new"}}]
    lines = says(capsys, "top", "pods", "-n", "shop").splitlines()
    assert lines[0].split() == ["NAMESPACE", "POD", "NODE", "FDS", "PEAK", "SOCKETS"]
    assert lines[1].split() == ["shop", "cart-7c9", "node-a", "960", "960", "832"]
    assert len(lines) == 2
    assert len(says(capsys, "top", "pods", "-A").splitlines()) == 3
    assert says(capsys, "top", "pods").startswith("No node lists a pod of namespace default: ")
    nodes = says(capsys, "top", "nodes").splitlines()
    assert nodes[1].split()[:5] == ["node-a", "Unknown", "(stale)", "inotify-instances", "97"]
    assert "never" in nodes[2]


def test_explain_a_pod_tells_its_findings_and_what_to_do(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.objects[f"{OBJECTS}/node-a"] = whole("node-a", 1_795_000_000)
    api.objects["/api/v1/namespaces/shop/pods/cart-7c9"] = {"spec": {"nodeName": "node-a"}}
    text = says(capsys, "explain", "pod/cart-7c9", "-n", "shop")
    assert text.startswith("shop/cart-7c9 on node-a\n")
    assert "older than 15 min, so take it as Unknown" in text
    assert "worst process: 4123 java, 960 of 1,000 (96 %)" in text
    assert "CRITICAL ProcessFDsHigh (about it)" in text
    assert "CRITICAL InotifyInstancesHigh (it fails next)" in text
    assert "fix: sysctl -w fs.inotify.max_user_instances=512" in text
    assert "sockaudit scan --pod shop/cart-7c9" in text
    api.objects["/api/v1/namespaces/shop/pods/calm"] = {"spec": {"nodeName": "node-a"}}
    assert "It is not among the 2 pods that the node lists" in says(capsys, "explain", "pod/calm", "-n", "shop")


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        ("2020-01-01T00:00:00.5Z", "older than 15 min, so take it as Unknown"),
        ("2020-01-01T01:00:00+01:00", "older than 15 min, so take it as Unknown"),
        ("yesterday", "nobody can tell when it was audited, so take it as Unknown"),
    ],
)
def test_explain_reads_any_time(api: FakeApi, capsys: pytest.CaptureFixture[str], observed: str, words: str) -> None:
    one = api.objects[f"{OBJECTS}/node-a"] = whole("node-a", 1_795_000_000)
    one["status"]["observedAt"] = observed
    assert words in says(capsys, "explain", "node/node-a")


def test_explain_leaves_out_states_that_were_not_listed(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    one = api.objects[f"{OBJECTS}/node-a"] = whole("node-a", 1_795_000_000)
    (tcp,) = (row["sockets"]["tcp"] for row in one["status"]["pods"] if row.get("name") == "cart-7c9")
    del tcp["synRecv"]
    api.objects["/api/v1/namespaces/shop/pods/cart-7c9"] = {"spec": {"nodeName": "node-a"}}
    assert "TCP sockets: 812 CLOSE_WAIT, 20 TIME_WAIT\n" in says(capsys, "explain", "pod/cart-7c9", "-n", "shop")


def test_explain_leaves_out_what_is_unknown_of_a_listener(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    one = api.objects[f"{OBJECTS}/node-a"] = whole("node-a", 1_795_000_000)
    pod = {"kind": "Pod", "namespace": "shop", "name": "cart-7c9", "queue": 1, "backlog": 9}
    one["status"]["listeners"] = [
        {**pod, "address": "/run/x", "port": 0, "protocol": "unix"},
        {**pod, "address": "::", "port": 80, "protocol": "tcp", "drops": 0},
    ]
    api.objects["/api/v1/namespaces/shop/pods/cart-7c9"] = {"spec": {"nodeName": "node-a"}}
    text = says(capsys, "explain", "pod/cart-7c9", "-n", "shop")
    assert "listens on unix:/run/x: 1 of 10 waiting\n" in text
    assert "listens on [::]:80: 1 of 10 waiting, 0 dropped\n" in text


def test_explain_a_node_is_its_whole_screen(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.objects[f"{OBJECTS}/node-a"] = whole("node-a", 1_795_000_000)
    text = says(capsys, "explain", "node/node-a")
    head = next(line for line in text.splitlines() if line.startswith("node-a · "))
    assert head.endswith("UNKNOWN"), "what is older than 15 min is nobody's verdict"
    assert "UNKNOWN   audited " in text
    assert "CRITICAL  InotifyInstancesHigh" in text, "as it was then"
    api.objects[f"{OBJECTS}/node-a"] = whole("node-a", time.time())
    text = says(capsys, "explain", "node/node-a")
    assert next(line for line in text.splitlines() if line.startswith("node-a · ")).endswith("CRITICAL")
    assert "shop/cart-7c9" in text


def test_what_cannot_be_explained_is_one_line(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no SockAudit of node gone" in fails(capsys, "explain", "node/gone")
    assert "pod shop/x does not exist" in fails(capsys, "explain", "pod/x", "-n", "shop")
    api.objects["/api/v1/namespaces/shop/pods/pending"] = {"spec": {}}
    assert "is not scheduled yet" in fails(capsys, "explain", "pod/pending", "-n", "shop")
    api.objects[f"{OBJECTS}/fresh"] = {"metadata": {"name": "fresh"}}
    assert "has not reported yet" in fails(capsys, "explain", "node/fresh")
    api.objects[f"{OBJECTS}/odd"] = {"status": {"verdict": "Splendid"}}
    assert "is of another version" in fails(capsys, "explain", "node/odd")
    assert "node/NAME or pod/NAME" in fails(capsys, "explain", "everything")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], ["top", "explain", "report", ":4"]),
        (["to"], ["top", ":4"]),
        (["top", "p"], ["pods", "pod", ":4"]),
        (["-n", "shop", "top", ""], ["pods", "nodes", "pod", "node", ":4"]),
        (["--context", "x", "top", "--sel"], ["--selector", ":4"]),
        (["--context=x", "top", "n"], ["nodes", "node", ":4"]),
        (["top", "-n", ""], [":4"]),
        (["explain", ""], ["node/", "pod/", ":6"]),
        (["explain", "-n", "shop", "pod", ""], [":4"]),
        (["top", "--n"], ["--namespace", ":4"]),
        (["report", "--n"], [":4"]),
        (["report", "--pro"], ["--prometheus", ":4"]),
        (["report", "--from", ""], [":0"]),
        (["report", "--from", "one", ""], [":0"]),
        (["report", "--from", "one", "--since", ""], [":0"]),
        (["report", "-o", "m"], ["markdown", ":4"]),
        (["nothing", ""], [":4"]),
        ([], ["top", "explain", "report", ":4"]),
    ],
)
def test_completion(
    words: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-sockaudit", *words])
    assert cli.kubectl_complete() == 0
    assert capsys.readouterr().out.split() == expected


def test_the_programs_own_completion_knows_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "one.json").touch()
    for words, expected in (
        (["cap"], ["capture"]),
        (["report", "--from", "o"], ["old/", "one.json"]),
        (["scan", "--procfs", "ol"], ["old/"]),
        (["scan", "--fail-on", "c"], ["critical"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ):
        assert cli.main(["__complete", *words]) == 0
        assert capsys.readouterr().out.split() == expected


def test_bash_completes_by_the_script(tmp_path: Path) -> None:
    program = tmp_path / "sockaudit"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m auditor.cli "$@"\n')
    program.chmod(0o755)
    asked = "COMP_WORDS=(sockaudit sc); COMP_CWORD=1; _sockaudit; echo ${COMPREPLY[@]}"
    line = f'PATH="{tmp_path}:$PATH"; source <(sockaudit completion bash); {asked}'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("scan\n", "")


def test_kubectls_flags(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.collections[OBJECTS] = [whole("node-a", time.time())]
    api.collections["/api/v1/pods"] = [{"metadata": {"namespace": "shop", "name": "other"}}]
    assert "cart-7c9" in says(capsys, "-n", "shop", "top", "pod")
    assert "cart-7c9" in says(capsys, "top", "pods", "-n", "shop", "--request-timeout", "5s", "--as", "jane")
    assert api.requests[-1].user == "jane"
    assert "No node lists a pod" in says(capsys, "top", "pods", "-A", "-l", "app=other")
    assert api.asked("GET", "/pods")[-1].query["labelSelector"] == "app=other"
    says(capsys, "top", "node", "-l", "pool=x")
    assert api.asked("GET", "sockaudits")[-1].query["labelSelector"] == "pool=x"
    assert "127.0.0.1:1 " in fails(capsys, "top", "nodes", "--server", "http://127.0.0.1:1")
    for name in ("--cluster", "--user"):
        assert "Expected object with name nobody" in fails(capsys, "top", "nodes", name, "nobody")


def test_top_and_explain_for_scripts(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.collections[OBJECTS] = [whole("node-a", 1_795_000_000)]
    (node_row,) = json.loads(says(capsys, "top", "nodes", "-o", "json"))
    assert (node_row["node"], node_row["verdict"], node_row["stale"], node_row["percent"]) == (
        "node-a",
        "Unknown",
        True,
        97,
    )
    rows = json.loads(says(capsys, "top", "pods", "-A", "-o", "json"))
    assert rows[0] == {
        "namespace": "shop",
        "pod": "cart-7c9",
        "node": "node-a",
        "fds": 960,
        "peak": 960,
        "sockets": 832,
    }
    api.objects[f"{OBJECTS}/node-a"] = whole("node-a", time.time())
    api.objects["/api/v1/namespaces/shop/pods/cart-7c9"] = {"spec": {"nodeName": "node-a"}}
    found = json.loads(says(capsys, "explain", "pod", "cart-7c9", "-n", "shop", "-o", "json"))
    assert (found["node"], found["stale"], found["pod"]["fds"]) == ("node-a", False, 960)
    assert {one["part"] for one in found["findings"]} >= {"about it", "it fails next"}
    assert json.loads(says(capsys, "explain", "node", "node-a", "-o", "json"))["status"]["verdict"] == "Critical"
