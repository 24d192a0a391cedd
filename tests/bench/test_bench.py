"""The benchmark runs from end to end. What it costs is for `make bench` to say, and for people to judge."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
OURS = (
    "**SockAudit, BPF: the sweep**",
    "SockAudit, BPF: sweep, owners, rules, JSON",
    "SockAudit, procfs, within the agent's budget",
    "SockAudit, procfs, everything read each time",
)
OTHERS = (
    "C on procfs, each descriptor read (`floor.c -r`)",
    "C on procfs, counts and sockets only (`floor.c`)",
    "the same iterators driven from C",
    "`ss -tanp`, one network namespace",
    "`ss -tanp` in 3 network namespaces",
    "`lsof -n -P`",
    "psutil: num_fds and net_connections of each process",
    "node_exporter, a scrape",
    "process-exporter, a scrape",
)


@pytest.mark.timeout(600)
def test_every_subject_is_measured(tmp_path: Path) -> None:
    if os.geteuid():
        if os.environ.get("CI") == "true":
            pytest.fail("the benchmark needs root")
        pytest.skip("needs root")
    environment = os.environ | {"PYTHONPATH": f"{PROJECT / 'tests'}:{PROJECT}"}
    command = [sys.executable, "-m", "bench", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "benchmark.md").read_text().splitlines()
    rows = dict(line.removeprefix("| ").split(" | ")[:2] for line in lines if line.startswith("| "))
    measured = {name: float(rows[name].replace(",", "")) for name in (*OURS, *OTHERS)}
    assert all(measured[name] > 0 for name in OURS), measured
    assert len(list(tmp_path.glob("growth-*.svg"))) == 4
