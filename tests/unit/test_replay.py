"""Recordings: the same again, what is left out, and thresholds from a file."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from auditor.evaluate import LIMITS

SOCKAUDIT = (sys.executable, "-m", "auditor.cli", "replay")
BEGAN = 1_790_000_000


def audit(turn: int, fds: int, limit: int = 4096, **status: Any) -> str:
    worst = {"pid": 7, "command": "java", "container": "app", "fds": fds, "softLimit": limit}
    pod = {"namespace": "shop", "name": "cart", "uid": "u1", "fds": fds, "worstProcess": worst, "new": [1]}
    observed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BEGAN + 30 * turn))
    limits = [{"name": "pids", "scope": "node", "used": 10, "limit": 100, "limitState": "Known"}, {"name": "later"}]
    return json.dumps(
        {"metadata": {"name": "a"}, "status": {"observedAt": observed, "limits": limits, "pods": [pod]} | status}
    )


def replay(path: Path, *options: object) -> subprocess.CompletedProcess[str]:
    command = [*SOCKAUDIT, str(path), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def leak(tmp_path: Path) -> Path:
    path = tmp_path / "rec.jsonl"
    path.write_text("".join(audit(turn, 300 + 2 * turn) + "\n" for turn in range(1500)))
    return path


def test_a_recording_tells_what_would_have_been_found_and_when(leak: Path) -> None:
    done = replay(leak, "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(line.keys() == {"time", "node", "event", "finding"} for line in lines)
    leaks = [line for line in lines if line["finding"]["rule"] == "FDLeak"]
    assert [(one["event"], one["finding"]["severity"]) for one in leaks] == [
        ("opened", "Info"),
        ("worsened", "Warning"),
    ]
    end = time.strftime("%Y-%m-%dT%H:", time.gmtime(BEGAN + 30 * (4096 - 300) // 2))
    assert leaks[0]["finding"]["exhaustsAt"].startswith(end)
    assert leaks[0]["finding"]["subject"]["name"] == "cart"
    (high,) = (one for one in lines if one["finding"]["rule"] == "ProcessFDsHigh")
    assert leaks[1]["time"] < high["time"], "before the limit's own rule"
    table = replay(leak).stdout.splitlines()
    assert len(table) == len(lines)
    assert "opened  Info  FDLeak  shop/cart (app, pid 7 java) holds" in table[0]


def test_who_it_was_is_said_outside_of_pods_too(tmp_path: Path) -> None:
    worst = {"pid": 19593, "command": "python3", "fds": 990, "softLimit": 1000}
    others = [{"kind": "Host", "worstProcess": worst}, {"kind": "Container", "name": "3f" * 32, "worstProcess": worst}]
    limits = [
        {"name": "process-fds", "scope": "host", "used": 990, "limit": 1000},
        {"name": "process-fds", "scope": "shop/lost app", "used": 999, "limit": 1000},
        {"name": "process-fds", "scope": "cron.service", "used": 999, "limit": 1000},
        {"name": "listen-backlog", "scope": "host 10.0.0.1:80", "used": 129, "limit": 129},
        {"name": "time-wait", "scope": "host", "used": 129, "limit": 129},
    ]
    path = tmp_path / "rec.jsonl"
    path.write_text("".join(audit(turn, 10, limits=limits, others=others, pods=[]) + "\n" for turn in range(3)))
    found = {line.split("  ")[-1].partition(" holds")[0] for line in replay(path).stdout.splitlines() if "FDs" in line}
    assert found == {
        "host (pid 19593 python3)",
        "container 3f3f3f3f3f3f (pid 19593 python3)",
        "shop/lost (app)",
        "cron.service",
    }
    findings = [json.loads(line)["finding"] for line in replay(path, "-o", "json").stdout.splitlines()]
    kinds = {(one["name"], one["scope"]): one["subject"]["kind"] for one in findings}
    assert kinds["process-fds", "host"] == kinds["listen-backlog", "host 10.0.0.1:80"] == "Host"
    assert kinds["time-wait", "host"] == "Node"
    assert kinds["process-fds", "cron.service"] == "Unit"


@pytest.mark.parametrize(
    ("held", "row", "gaps", "events"),
    [
        ({}, {}, [], ["opened"]),
        ({"fds": 9000}, {}, [], ["opened"]),  # what all of its processes hold is not what the fullest does
        ({}, None, [{"id": "denied-fds", "limits": ["process-fds"]}], ["opened"]),
        ({}, None, [{"id": "denied", "detail": "x", "count": 1, "limits": ["keys"]}], ["opened", "closed", "opened"]),
        ({}, {"used": 0}, [], ["opened", "closed", "opened"]),
    ],
)
def test_what_is_unknown_for_once_closes_nothing(
    tmp_path: Path, held: dict[str, int], row: dict[str, int] | None, gaps: list[dict[str, Any]], events: list[str]
) -> None:
    worst = {"pid": 7, "command": "cron", "fds": 1000, "softLimit": 1024}
    unit = {"kind": "Unit", "name": "cron.service"}
    full = {"others": [unit | {"fds": 1000, "worstProcess": worst}]}
    limits = [] if row is None else [{"name": "process-fds", "scope": "cron.service", "limit": 1024} | row]
    blind = {"others": [unit | held], "limits": limits, "coverage": {"gaps": gaps}}
    path = tmp_path / "rec.jsonl"
    path.write_text("".join(audit(turn, 0, pods=[], **(blind if turn == 2 else full)) + "\n" for turn in range(4)))
    done = replay(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == events


@pytest.mark.parametrize("scope", ["node", "user 0", "user 1000 bytes", "host", "shop/cart app", "odd"])
def test_every_limit_can_be_judged_from_a_recording(tmp_path: Path, scope: str) -> None:
    limits = [{"name": row.id, "scope": scope, "used": 99, "limit": 100} for row in LIMITS]
    path = tmp_path / "rec.jsonl"
    path.write_text("".join(audit(turn, 10, limits=limits, pods=[]) + "\n" for turn in range(2)))
    done = replay(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split("  ")[3] for line in done.stdout.splitlines()} == {row.rule for row in LIMITS}


def test_what_no_recording_holds_is_said_not_to_be_judged(leak: Path) -> None:
    leak.write_text(audit(0, 10, findings=[{"rule": "UDPReceiveDrops"}, {"rule": "PIDsHigh"}]))
    done = replay(leak)
    assert done.stdout == "nothing would have been found: 1 audit, 2026-09-21T14:13:20Z to 2026-09-21T14:13:20Z\n"
    assert done.stderr.startswith("sockaudit: not judged: UDPReceiveDrops, found when")
    assert replay(leak, "-o", "json").stdout == ""


def test_audits_that_came_within_a_second_all_count(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    limits = [{"name": "pids", "scope": "shop/cart app", "used": 85, "limit": 100}]
    path.write_text(
        "".join(audit(0, 0, limits=limits, pods=[], coverage={"effectiveInterval": 0.5}) + "\n" for _ in range(2))
    )
    done = replay(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "opened  Warning  PIDsHigh" in done.stdout, "two sweeps in a row"


def test_one_audit_as_scan_prints_it_is_a_recording(tmp_path: Path) -> None:
    indented = json.dumps(json.loads(audit(0, 4000)), indent=2) + "\n"
    path = tmp_path / "one.json"
    path.write_text(indented + audit(1, 4000) + "\n" + indented.replace(":13:20Z", ":15:20Z"))
    done = replay(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Critical  ProcessFDsHigh  shop/cart (app, pid 7 java) holds" in done.stdout
    piped = subprocess.run([*SOCKAUDIT, "-"], input=path.read_text(), capture_output=True, text=True, check=False)
    assert piped.stdout == done.stdout


@pytest.mark.parametrize("where", ["/dev/full", "&-"])
def test_what_goes_wrong_with_the_output_is_not_the_recordings_fault(leak: Path, where: str) -> None:
    command = f"{' '.join(SOCKAUDIT)} {leak} >{where}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the output cannot be written" in done.stderr


def test_twice_the_same_gives_the_same_bytes(leak: Path) -> None:
    assert replay(leak, "-o", "json").stdout == replay(leak, "-o", "json").stdout


def test_what_cannot_be_used_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    bad = ["{half", "[]", '{"status": {}}', audit(1, 10), audit(3, 10, pods=[{"uid": 7}]), "[" * 100_000]
    good = [audit(0, 4000), "", audit(2, 4000), audit(1, 1)]
    path.write_text("\n".join([*good, *bad, audit(500, 4000)]))
    done = replay(path)
    assert done.returncode == 0
    assert [line.split(" is ")[0] for line in done.stderr.splitlines()] == [
        f"sockaudit: line {number}" for number in (4, 5, 6, 7, 8, 9, 10)
    ]
    assert "Traceback" not in done.stderr
    assert "Critical  ProcessFDsHigh" in done.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("process-fds: {warning: 120}", "limits.process-fds.warning: Input should be less than or equal to 100"),
        ("process-fds: {warning: 50, critical: 40}", "critical is below warning"),
        ("nothing: {warning: 50}", "there is no limit nothing; there are aio, "),
        ("process-fds: {warning: 50, soon: 1}", "limits.process-fds.soon: Extra inputs are not permitted"),
        ("a: b: c", "mapping values are not allowed here"),
        ("", "Input should be a valid dictionary"),
    ],
)
def test_bad_thresholds_are_one_line(tmp_path: Path, leak: Path, text: str, says: str) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text(text)
    done = replay(leak, "--thresholds", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_other_thresholds_find_other_things(tmp_path: Path, leak: Path) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text('{"pids": {"warning": 10}, "process-fds": {"warning": 70, "critical": 75}}')
    found = replay(leak, "--thresholds", path).stdout
    assert "Warning  PIDsHigh" in found
    assert "Critical  ProcessFDsHigh" in found


def test_a_file_without_audits_is_one_line_that_names_no_command_to_overwrite_it(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "other").write_text("root:x:0:0\n" * 30)
    for name in ("none", "empty", "other"):
        done = replay(tmp_path / name)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert f"> {tmp_path}" not in done.stderr
