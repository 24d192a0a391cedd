"""What a file may hold, and what of it is read, noted or refused."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from report.fleets import Json, limit, node, report, save, share, workload

from auditor import cli

SCREEN = "20 of 300 pods that the nodes list"


def refusal(capsys: pytest.CaptureFixture[str], path: Path) -> str:
    assert cli.main(["report", "--from", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_an_array_of_any_length_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    padding = "x" * (6 << 20)
    nodes = [node(f"n{number}", limit("pids", 1, 10)) | {"padding": padding} for number in range(5)]
    (tmp_path / "a").write_text(json.dumps(nodes))
    assert report(capsys, "--from", str(tmp_path / "a"))["nodes"]["reporting"] == 5
    lists = [{"kind": "List", "items": [one]} for one in nodes[:2]]
    (tmp_path / "a").write_text(json.dumps(lists))
    assert report(capsys, "--from", str(tmp_path / "a"))["nodes"]["reporting"] == 2, "as jq -s puts them"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind": "List", "items": [{"kind": "Pod", "metadata": {"name": "p"}}]}', "it is no SockAudit but a Pod"),
        ("42", "it is no SockAudit but a number"),
        ("null", "it is no SockAudit but null"),
        ('[{"kind": "SockAudit"}]', "it has no metadata.name"),
        ('{"apiVersion": "foo.io/v1", "kind": "SockAudit", "metadata": {"name": "a"}}', "it is of foo.io/v1, not of"),
        ("apiVersion: v1\nitems:\n- kind: SockAudit\n", "is YAML: save JSON"),
    ],
)
def test_a_file_of_something_else_is_refused_with_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (tmp_path / "a").write_text(text)
    assert words in refusal(capsys, tmp_path / "a")


def test_compressed_files_are_refused_and_utf_16_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps([node("a", limit("pids", 1, 10))])
    (tmp_path / "a").write_bytes(gzip.compress(text.encode()))
    assert "is compressed with gzip: gunzip it first" in refusal(capsys, tmp_path / "a")
    (tmp_path / "a").write_text(text, encoding="utf-16")
    assert report(capsys, "--from", str(tmp_path / "a"))["nodes"]["reporting"] == 1, "as PowerShell saves it"
    huge = json.dumps([node("a") | {"padding": "x" * (33 << 20)}])
    (tmp_path / "a").write_text(huge)
    assert "an object of more than 16 MiB" in refusal(capsys, tmp_path / "a")


def test_stdin_is_read(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "auditor.cli", "report", "-o", "json", "--from", "-"]
    text = Path(save(tmp_path / "a", node("a"))).read_text()
    found = json.loads(subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout)
    assert (found["nodes"]["reporting"], found["sources"]) == (1, ["stdin"])


def test_what_is_read_but_not_wholly_understood_is_noted_in_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = node("newer", limit("pids", 1, 10), verdict="Splendid") | {"apiVersion": "sockaudit.io/v9"}
    strings = node("strings", limit("pids", 1, 10) | {"peak": "7"}, {"scope": "node", "used": 1})
    foreign = node("foreign") | {"apiVersion": "foo.io/v1"}
    path = save(tmp_path / "a", newer, strings, foreign)
    found = report(capsys, "--from", path)["nodes"]
    assert found["reporting"] == 2
    assert found["refused"] == ["item 3 of a: it is of foo.io/v1, not of sockaudit.io"]
    assert found["notes"] == [
        "limits without a name left out: strings",
        "values that are no figures taken as unknown: strings",
        "verdict Splendid taken as Unknown: newer",
        "written as sockaudit.io/v9, read as v1alpha1: newer",
    ]
    for output in ("table", "csv", "markdown", "html"):
        assert cli.main(["report", "--from", path, "-o", output]) == 0
        text = capsys.readouterr().out
        assert all(note in text for note in found["notes"]), output


def test_whole_floats_are_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = limit("pids", 10, 100, peak=20) | {"used": 10.0, "limit": 100.0, "peak": 20.5}
    found = report(capsys, "--from", save(tmp_path / "a", node("a", row)))
    (pids,) = found["pools"][0]["limits"]
    assert (pids["used"], pids["limit"], pids["peakPercent"]) == (10, 100, 10)
    assert found["nodes"]["notes"] == ["values that are no figures taken as unknown: a"]


@pytest.mark.parametrize(
    ("row", "known"),
    [
        (limit("pids", None, 100, peak=55), (None, 100, None, 55, "Known")),
        (limit("pids", None, 100), (None, 100, None, None, "Known")),
        (limit("pids", 5, 0, limitState="Known"), (5, 0, None, None, "Known")),
        (limit("conntrack", 5, 0, limitState="Known"), (None, None, None, None, "Unlimited")),
        (limit("pids", 5, 2**63 - 1, limitState="Unlimited"), (None, None, None, None, "Unlimited")),
        (limit("pids", 5, None, limitState="Known"), (None, None, None, None, "Unknown")),
        (limit("pids", 50, 100, peak=20), (50, 100, 50, 50, "Known")),
    ],
)
def test_known_facts_stay_and_the_state_of_a_limit_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Json, known: tuple[int | str | None, ...]
) -> None:
    (pool,) = report(capsys, "--from", save(tmp_path / "a", node("a", row)))["pools"]
    (found,) = pool["limits"]
    assert tuple(found[key] for key in ("used", "limit", "percent", "peakPercent", "state")) == known


def test_the_keys_that_others_rely_on_are_always_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blind = node("a", limit("aio", 7, None))
    del blind["status"]["node"]["pods"]
    (pool,) = report(capsys, "--from", save(tmp_path / "a", blind))["pools"]
    assert [pool[key] for key in ("pods", "podsUntilLimit", "endsFirst")] == [None, None, None]
    keys = ("worstNode", "used", "limit", "percent", "peakPercent", "podsUntilLimit")
    assert [pool["limits"][0][key] for key in keys] == [None] * 6
    assert "scope" not in pool["limits"][0]


def test_pools_and_workloads_that_look_alike_are_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 253
    names = (f"{long}1", f"{long}2")
    nodes = [node(f"n{number}", limit("pids", 1, 10, **share(1)), pool=name) for number, name in enumerate(names)]
    pools = report(capsys, "--from", save(tmp_path / "a", *nodes))["pools"]
    assert [pool["nodes"] for pool in pools] == [1, 1]


def test_namespaces_say_what_is_known_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = node("a", workloads=[workload("cart", (9, 9), 9, pods=3), workload("db", (9, 9), 9) | {"pods": None}])
    pods = [("shop", "cart", 7), ("web", "proxy", None), ("shop", "db", None), ("all", "known", 5)]
    one["status"]["pods"] = [{"namespace": namespace, "name": name, "fds": fds} for namespace, name, fds in pods]
    path = save(tmp_path / "a", one)
    assert report(capsys, "--from", path)["namespaces"] == [
        {"name": "shop", "pods": 3, "podsUnknownWorkloads": 1, "fds": 7, "fdsUnknownPods": 1, "findings": 0},
        {"name": "all", "podsUnknownWorkloads": 0, "fds": 5, "fdsUnknownPods": 0, "findings": 0},
        {"name": "web", "podsUnknownWorkloads": 0, "fdsUnknownPods": 1, "findings": 0},
    ]
    for output, known, unknown in (
        ("csv", "Namespaces,shop,at least 3,at least 7,0", "Namespaces,web,,,0"),
        ("markdown", "| shop | at least 3 | at least 7 | 0 |", "| web | ? | ? | 0 |"),
        (
            "html",
            ">shop</td><td class=word>at least 3</td><td class=word>at least 7</td>",
            '>web</td><td class="figure',
        ),
    ):
        assert cli.main(["report", "--from", path, "-o", output]) == 0
        text = capsys.readouterr().out
        assert (known in text, unknown in text) == (True, True), output


def test_all_findings_and_namespaces_are_there_and_tables_say_how_many_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = node("a")
    one["status"]["findings"] = [{"id": f"x{number}", "rule": "x", "severity": "Info"} for number in range(150)]
    one["status"]["pods"] = [{"namespace": f"n{number}", "name": "p", "fds": 1} for number in range(300)]
    path = save(tmp_path / "a", one)
    found = report(capsys, "--from", path)
    assert [len(found[key]) for key in ("findings", "namespaces", "consumers")] == [150, 300, 20]
    assert found["consumersTotal"] == 300
    texts = {}
    for output in ("table", "csv", "markdown", "html"):
        assert cli.main(["report", "--from", path, "-o", output]) == 0
        texts[output] = capsys.readouterr().out
        assert SCREEN in texts[output].replace(SCREEN.upper(), SCREEN)
    assert texts["csv"].count("Namespaces,n") == 300
    assert "140 more: -o json or -o csv" in texts["table"]
    assert "200 more: -o json or -o csv" in texts["markdown"]
    assert "100 more: -o json or -o csv" in texts["html"]
