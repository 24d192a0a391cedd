"""One port and one pod in depth, against ss(8)."""

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from truth.starting import Start

from auditor import cli

CLIENTS = int(os.environ.get("SOCKAUDIT_CLIENTS", "10000"))  # fewer where a kernel is emulated


def scan(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["scan", *arguments]) == 0
    return capsys.readouterr().out


def ss(pid: int, *arguments: str) -> list[list[str]]:
    command = ["nsenter", "--target", str(pid), "--net", "ss", "-Htan", *arguments]
    return [
        line.split() for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    ]


@pytest.mark.source("procfs")
@pytest.mark.usefixtures("alone")  # another run's port is the same one
def test_ten_thousand_clients_are_ten_thousand_sockets_and_one_listener(
    start: Start, uid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = start("clients", uid, CLIENTS)
    found: dict[str, Any] = json.loads(scan(capsys, "--port", "1024", "-o", "json"))
    rows = ss(truth["pid"], "sport", "=", ":1024")
    states = Counter("ESTABLISHED" if row[0] == "ESTAB" else row[0] for row in rows)
    assert states == {"ESTABLISHED": CLIENTS, "LISTEN": 1}
    (listener,) = found["listeners"]
    assert (listener["local"], listener["backlog"], listener["owner"]) == (
        {"address": "127.0.0.1", "port": 1024},
        100,
        f"pod {uid}",
    )
    assert [(one["pid"], one["fd"]) for one in listener["descriptors"]] == sorted(
        [(truth["pid"], truth["listener"]), (truth["worker"], truth["listener"])]
    ), "both processes of the server hold it"
    assert Counter(one["state"] for one in found["sockets"]) == {"ESTABLISHED": CLIENTS}
    assert {f"{one['peer']['address']}:{one['peer']['port']}" for one in found["sockets"]} == {
        row[4] for row in rows if row[0] == "ESTAB"
    }
    assert all(len(one["descriptors"]) == 1 and one["peerOwner"] == f"pod {uid}" for one in found["sockets"])
    (busy,) = (one for one in found["sockets"] if one["notRead"])
    assert (busy["notRead"], busy["descriptors"][0]["fd"]) == (12_345, truth["busy"])
    screen = scan(capsys, "--port", "1024")
    assert screen.startswith(f"port 1024 · 1 listener · {CLIENTS:,} sockets\n")
    assert f"fd {truth['listener']} of {truth['pid']} python" in screen
    assert f"({CLIENTS - 10:,} more: --all)" in screen
    assert len(scan(capsys, "--port", "1024", "--all").splitlines()) > CLIENTS


@pytest.mark.source("procfs")
def test_a_pod_in_depth_has_what_its_processes_hold_and_what_waits_in_its_namespace(
    start: Start, uid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = start("tcp", 1, uid)
    found = json.loads(scan(capsys, "--pod", uid, "-o", "json"))
    words = {"ESTAB": "ESTABLISHED", "TIME-WAIT": "TIME_WAIT", "FIN-WAIT-2": "FIN_WAIT2", "CLOSE-WAIT": "CLOSE_WAIT"}
    rows = Counter(words.get(row[0], row[0].replace("-", "_")) for row in ss(truth["pid"]))
    seen = Counter(one["state"] for one in [*found["sockets"], *found["listeners"]] if one["protocol"] == "tcp")
    assert seen == rows
    assert all(one["secondsLeft"] is not None for one in found["sockets"] if one["state"] == "TIME_WAIT")
    waiting = [one["seconds"] for one in found["sockets"] if one["state"] == "CLOSE_WAIT"]
    assert all(0 <= seconds < 60 for seconds in waiting), "since the peer closed"
    assert len(waiting) == rows["CLOSE_WAIT"]
    assert {one["pid"] for one in found["processes"]} == {truth["pid"]}
    screen = scan(capsys, "--pod", uid)
    assert screen.startswith(f"pod {uid} · {rows['LISTEN']} listeners · ")


@pytest.mark.source("procfs")
def test_what_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scan", "--pod", "shop/nobody"]) == 2
    assert capsys.readouterr().err == (
        "sockaudit: no process of pod shop/nobody runs on this machine. sockaudit scan --all lists those that do.\n"
    )
    assert "No TCP, UDP or listening UNIX socket." in scan(capsys, "--port", "1")
    assert cli.main(["scan", "--port", "1", "--count", "2"]) == 2
    assert "leave --count" in capsys.readouterr().err


AS_NOBODY = """
import os, sys
from auditor import cli, depth
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.source("procfs")
def test_twins_in_two_namespaces_are_told_apart(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    inodes = {start("twin")["netns"], start("twin")["netns"]}
    found = json.loads(scan(capsys, "--port", "7004", "-o", "json"))
    tcp = [row for row in found["listeners"] if row["protocol"] == "tcp"]
    assert sorted(row["netns"] for row in tcp) == sorted(inodes)
    assert {(row["netns"], row["state"]): row["notRead"] for row in found["sockets"]} == dict.fromkeys(
        ((inode, "CLOSE_WAIT") for inode in inodes), 0
    ), "its FIN is no byte to be read"
    drops = [row["drops"] for row in found["listeners"] if row["protocol"] == "udp"]
    assert [number > 50 for number in drops] == [True, True]


@pytest.mark.source("procfs")
def test_who_holds_what_another_user_has_is_unknown_to_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", AS_NOBODY, "scan", "--port", str(server.getsockname()[1])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    (row,) = (line.split() for line in done.stdout.splitlines() if line.startswith("127.0.0.1:"))
    assert row[-2:] == ["?", "?"]
