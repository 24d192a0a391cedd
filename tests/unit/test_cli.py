"""The command line as a user meets it: each mistake is one line that says what to do."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kernel import recorded

SOCKAUDIT = (sys.executable, "-m", "auditor.cli")


def sockaudit(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SOCKAUDIT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("agent", "--metrics-address", "here"), "here is not HOST:PORT"),
        (("agent", "--metrics-address", "127.0.0.1:70000"), "127.0.0.1:70000 is not HOST:PORT"),
        (("agent", "--interval", "0"), "0 is not seconds, more than 0"),
        (("agent", "--interval", "nan"), "nan is not seconds, more than 0"),
        (("agent", "--cpu-budget", "much"), "much is not a percentage of one core"),
        (("scan", "--count", "-1"), "-1 is not a whole number"),
        (("scan", "--count", "2.5"), "2.5 is not a whole number"),
        (("scan", "--count", "2", "-o", "table"), "one JSON object a line: use -o json"),
        (("scan", "--node-name", "Node_A"), "'Node_A' is no name of a node"),
        (("scan", "--node-name", ""), "'' is no name of a node"),
        (("scan", "--count", "9" * 5000), "is not a whole number from 0 to 999,999,999"),
        (("scan", "--port", "http"), "http is no port: 1 to 65535"),
        (("top", "pods", "--request-timeout", "5 min"), "5 min is no time: write 5s, 2m or 0"),
        (("scan", "--pod", ""), "it names no pod"),
        (("scan", "--port", "1", "--source", "bpf", "--node-name", "a"), "have no use for --source, --node-name"),
        (("report", "--days", "7"), "name one with --prometheus URL"),
        (("scan", "--foo"), "unrecognized arguments: --foo. See sockaudit scan --help"),
        (("scan", "--output", "xml"), "invalid choice: 'xml'"),
        (("scan", "--procfs", "/nonexistent"), "/nonexistent cannot be read as a directory"),
        ((), "COMMAND"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    done = sockaudit(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--metrics-address", "192.0.2.1:9475", "--no-publish"), "cannot serve on 192.0.2.1:9475"),
        (("--metrics-address", "127.0.0.1:0", "--no-publish", "--procfs", "/etc"), "/etc is no procfs"),
        (("--metrics-address", "127.0.0.1:0"), "no usable cluster configuration"),
        (("--no-publish", "--thresholds", "/nonexistent/file"), "/nonexistent/file does not exist"),
    ],
)
def test_an_agent_that_cannot_work_says_why_and_ends(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = sockaudit("agent", *arguments, KUBECONFIG=str(tmp_path / "none"), HOME=str(tmp_path))
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "traceback" not in done.stderr.lower()


def test_details_of_an_error_come_with_v() -> None:
    done = sockaudit("scan", "-v", "--procfs", "/nonexistent")
    *causes, last = done.stderr.splitlines()
    assert done.returncode == 2
    assert causes[0].startswith("sockaudit: FileNotFoundError: [Errno 2] No such file or directory")
    assert last == sockaudit("scan", "--procfs", "/nonexistent").stderr.rstrip()


@pytest.mark.parametrize(("more", "code"), [((), 0), (("--fail-on", "critical"), 2)])
def test_an_endless_scan_that_is_stopped_ends_with_what_it_saw(
    tmp_path: Path, more: tuple[str, ...], code: int
) -> None:
    recorded.node(tmp_path)
    # A shell has what it runs in the background ignore the signal, and that is inherited.
    as_in_front = ("env", "--default-signal=INT")
    command = [*as_in_front, *SOCKAUDIT, "scan", "--count", "0", "--procfs", str(tmp_path), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as scan:
        assert scan.stdout is not None
        assert scan.stderr is not None
        assert scan.stdout.readline().startswith("{")
        scan.send_signal(signal.SIGINT)
        assert (scan.stdout.read(), scan.stderr.read(), scan.wait(60)) == ("", "", code)


def test_an_agent_serves_on_ipv6_and_ends_by_a_signal() -> None:
    command = [*SOCKAUDIT, "agent", "--no-publish", "--metrics-address", "[::1]:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stderr is not None
        assert "audits node" in agent.stderr.readline()
        agent.terminate()
        assert "ended by a signal" in agent.stderr.read()
        assert agent.wait(60) == 0
