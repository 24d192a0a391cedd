"""Where the output goes: a reader that leaves, a full disk, no stdout, an encoding without the bars."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kernel import recorded
from report.fleets import node, save

SOCKAUDIT = f"{sys.executable} -m auditor.cli"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = " ".join(f"{name}={value}" for name, value in environment.items())
    line = f"set -o pipefail; {settings} {SOCKAUDIT} {command}"
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "proc"
    path.mkdir()
    recorded.node(path)
    recorded.process(path, 1, comm=b"systemd", fds=dict.fromkeys(range(900), "/dev/null"))
    return path


@pytest.fixture
def saved(tmp_path: Path) -> str:
    return save(tmp_path / "sockaudits.json", *(node(f"n{number}") for number in range(600)))


def commands(tree: Path, saved: str) -> list[str]:
    scans = [f"scan --procfs {tree} {more}" for more in ("", "-o yaml", "--count 2 --interval 0.01")]
    reports = [f"report --from {saved} -o {output}" for output in ("table", "json")]
    return [*scans, *reports, f"capture --procfs {tree} {tree.parent}/copy", "--version"]


def test_a_reader_that_has_what_it_wanted_is_no_failure(tree: Path, saved: str) -> None:
    for command in commands(tree, saved):
        done = shell(f"{command} | head -c 1 >/dev/null")
        assert (done.returncode, done.stderr) == (0, ""), command


def test_the_verdict_outlives_the_reader(tree: Path) -> None:
    for more in ("", "--count 0 --interval 0.01"):
        done = shell(f"scan --procfs {tree} --fail-on critical {more} | head -c 1 >/dev/null")
        assert (done.returncode, done.stderr) == (2, ""), "a recorded tree shows too little for a verdict"


@pytest.mark.parametrize(("where", "why"), [("/dev/full", "No space left on device"), ("&-", "it is closed")])
def test_an_output_that_cannot_be_written_is_one_line_and_exit_code_2(
    tree: Path, saved: str, where: str, why: str
) -> None:
    for command in commands(tree, saved):
        done = shell(f"{command} >{where}")
        line = f"sockaudit: the output cannot be written: {why}. Send it somewhere else.\n"
        assert (done.returncode, done.stderr) == (2, line), command


def test_a_closed_stderr_changes_no_exit_code(tree: Path) -> None:
    for where in ("/dev/full", "&-"):
        assert shell(f"scan --procfs /nonexistent 2>{where}").returncode == 2
        assert shell(f"scan --procfs {tree} 2>{where}").returncode == 0


def test_a_terminal_without_our_characters_gets_others_in_their_place(tree: Path, saved: str) -> None:
    def row(encoding: str) -> str:
        done = shell(f"scan --procfs {tree}", PYTHONIOENCODING=encoding, COLUMNS="120")
        assert (done.returncode, done.stderr) == (0, "")
        return next(line for line in done.stdout.splitlines() if line.startswith("process-fds"))

    assert not any(line.endswith(" ") for line in shell(f"scan --procfs {tree}").stdout.splitlines())
    assert "█" in row("utf-8")
    assert row("ascii") == re.sub("[▏▎▍▌▋▊▉█]", "#", row("utf-8")).replace("…", "~")
    assert json.loads(shell(f"report --from {saved} -o json", PYTHONIOENCODING="ascii").stdout)


def test_no_kubeconfig_is_one_line(tmp_path: Path) -> None:
    bad = {"list": "[1, 2]", "clusters": "clusters: 3", "users": "users: [{name: 5}]\ncontexts: 3", "text": "hello"}
    for name, text in bad.items():
        path = tmp_path / name
        path.write_text(text)
        for command in ("report", "top pods", "explain node/x", "explain pod/x"):
            done = shell(f"{command} --kubeconfig {path}")
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), text
            assert f"no usable cluster configuration: {path}: " in done.stderr, text
    assert f"{tmp_path}/none does not exist" in shell(f"top pods --kubeconfig {tmp_path}/none").stderr
