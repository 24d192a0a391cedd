"""The benchmark runs from end to end. What it costs is for `make bench` to say, and for people to judge."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


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
    rows = [line.split(" | ") for line in (tmp_path / "benchmark.md").read_text().splitlines() if line.startswith("| ")]
    for name in (
        "floor.c -r",
        "driven from C",
        "BPF: the sweep",
        "procfs",
        "ss",
        "lsof",
        "psutil",
        "node_exporter",
        "process-exporter",
    ):
        (figures,) = [row[1] for row in rows if name in row[0]][:1]
        assert float(figures.replace(",", "")) >= 0
    assert len(list(tmp_path.glob("growth-*.svg"))) == 4
