"""Longer history: a real Prometheus scrapes a real agent, and the report takes its peaks from there."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from report.fleets import limit, node, save, share

from auditor import cli

WITHIN_SECONDS = 240  # no claim, but a guard against hanging


@pytest.fixture(autouse=True)
def _prometheus() -> None:
    if shutil.which("prometheus"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("there is no prometheus: tests/bed/packages.sh installs it")
    pytest.skip("there is no prometheus")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@contextmanager
def running(*command: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WITHIN_SECONDS)


@pytest.fixture
def scraped(tmp_path: Path) -> Iterator[str]:
    """A Prometheus that has scraped an agent; its URL."""
    for _ in range(2):  # a port that was free may be taken before it is used
        agent, server = free_port(), free_port()
        targets = [{"targets": [f"127.0.0.1:{agent}"]}]
        # The first comes soon; the other waits for an answer that takes a busy machine longer than a second.
        jobs = [{"job_name": one, "scrape_interval": one, "static_configs": targets} for one in ("1s", "5s")]
        (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": jobs}))
        url = f"http://127.0.0.1:{server}"
        command = [sys.executable, "-m", "auditor.cli", "agent", "--no-publish", "--interval", "1", "--node-name", "n2"]
        with ExitStack() as both:
            processes = [
                both.enter_context(running(*command, "--metrics-address", f"127.0.0.1:{agent}")),
                both.enter_context(
                    running(
                        "prometheus",
                        f"--config.file={tmp_path}/prometheus.yml",
                        f"--storage.tsdb.path={tmp_path}/data",
                        f"--web.listen-address=127.0.0.1:{server}",
                    )
                ),
            ]
            if _is_scraped(url, processes):
                yield url
                assert not _ended(processes), "a process ended meanwhile"
                return
    pytest.fail("the agent or Prometheus ended, on other ports too")


def _is_scraped(url: str, processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    """Wait for it; false when a process has ended."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not _ended(processes):
        if _asked(f"{url}/api/v1/query?query=sockaudit_limit_used"):
            return True
        assert time.monotonic() < deadline, "nothing was scraped"
        time.sleep(0.5)
    return False


def _ended(processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    return any(one.poll() is not None for one in processes)


def _asked(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(json.load(answer)["data"]["result"])
    except OSError:
        return False


@pytest.mark.timeout(900)
def test_peaks_of_a_month_come_from_prometheus(
    scraped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Fewer than this machine runs, as Prometheus knows. Of threads there is one scope: of pids any cgroup's may be the worst.
    tasks = limit("threads", 1, 1000, **share(1))
    path = save(tmp_path / "a.json", node("n1", tasks), node("n2", tasks))
    assert cli.main(["report", "--from", path, "-o", "json", "--prometheus", scraped, "--days", "7"]) == 0
    found = json.loads(capsys.readouterr().out)
    (threads,) = found["pools"][0]["limits"]
    assert threads["peakPercent"] > 0, "n2 had more tasks than the file says"
    assert threads["worstNode"] == "n2"
    assert found["sources"] == ["a.json", f"{scraped} (7 days)"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "no Prometheus answers at http://127.0.0.1:1"),
        ("ftp://x", "ftp://x is no URL of Prometheus"),
        ("prometheus:9090", "is no URL of Prometheus"),
    ],
)
def test_what_does_not_answer_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, words: str
) -> None:
    path = save(tmp_path / "a.json", node("n1"))
    assert cli.main(["report", "--from", path, "--prometheus", url]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
