"""Longer history: a real Prometheus scrapes a real agent, and the report takes its peaks from there."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from report.fleets import limit, node, save, share

from auditor import cli


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
def running(*command: object) -> Iterator[None]:
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None, f"{command[0]} ended"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def scraped(tmp_path: Path) -> Iterator[str]:
    """A Prometheus that has scraped an agent; its URL."""
    agent, server = free_port(), free_port()
    targets = [{"targets": [f"127.0.0.1:{agent}"]}]
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [{"job_name": "it", "static_configs": targets}]}
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    url = f"http://127.0.0.1:{server}"
    command = [sys.executable, "-m", "auditor.cli", "agent", "--no-publish", "--interval", "1", "--node-name", "n1"]
    with (
        running(*command, "--metrics-address", f"127.0.0.1:{agent}"),
        running(
            "prometheus",
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{server}",
        ),
    ):
        deadline = time.monotonic() + 60
        while not _asked(f"{url}/api/v1/query?query=sockaudit_limit_used"):
            assert time.monotonic() < deadline, "nothing was scraped"
            time.sleep(0.5)
        yield url


def _asked(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(json.load(answer)["data"]["result"])
    except OSError:
        return False


def test_peaks_of_a_month_come_from_prometheus(
    scraped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = limit("pids", 1, 1000, **share(1))  # fewer than this machine runs, as Prometheus knows
    path = save(tmp_path / "a.json", node("n1", tasks), node("n2", tasks))
    assert cli.main(["report", "--from", path, "-o", "json", "--prometheus", scraped, "--days", "7"]) == 0
    found = json.loads(capsys.readouterr().out)
    (pids,) = found["pools"][0]["limits"]
    assert pids["peakPercent"] > 0, "n1 had more tasks than the file says"
    assert pids["worstNode"] in ("n1", "n2")
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
