"""Starting a workload: a program that says in one line of JSON what it holds, and holds it until its stdin ends."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent

Start = Callable[..., dict[str, Any]]

_DYING_SECONDS = 5.0


@contextmanager
def workload(name: str, *arguments: object) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"truth.workloads.{name}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout, process.stdin:
        try:
            line = process.stdout.readline()
            assert line, f"{name} ended before it was ready"
            yield {"pid": process.pid, "tell": partial(_tell, process)} | json.loads(line)
            process.stdin.close()
            assert process.wait(300) == 0, f"{name} failed while it was held"
        finally:
            process.kill()
            process.wait()
            _remove_cgroups(process.pid)


def _tell(process: subprocess.Popen[str], line: str) -> str:
    """Say something to a workload that listens, and return its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    return process.stdout.readline()


def _remove_cgroups(pid: int) -> None:
    """Remove what a workload could not: it was killed, or a child of it was still on its way out."""
    for base in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        top = f"{base}/sockaudit-truth-{pid}"
        deadline = time.monotonic() + _DYING_SECONDS
        while os.path.isdir(top) and time.monotonic() < deadline:
            for folder, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)
            if os.path.isdir(top):
                time.sleep(0.05)
