"""What is measured, and how: CPU milliseconds of one look at the node, and memory."""

import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from auditor.kernel.bpf import artifact
from auditor.kernel.bpf.header import header

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
AGENT_BUDGET = "0.3"  # CPU seconds of a sweep: 1 % of one core at 30 s
PSUTIL = """
import psutil
for process in psutil.process_iter(["pid", "name"]):
    try:
        process.num_fds(), process.net_connections()
    except psutil.Error:
        pass
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one subject took for one look.

    Attributes:
        milliseconds: CPU, user and system.
        mebibytes: resident, at the end; `None` where nobody asked.
        facts: whatever else it said.
        ratio: to what it was compared with in turns; `None` where it took no turns.
    """

    milliseconds: float
    mebibytes: float | None = None
    facts: dict[str, Any] | None = None
    ratio: float | None = None


class Tools:
    """The programs in C, built once."""

    def __init__(self, folder: Path) -> None:
        self.floor, self.iterate, self.object = folder / "floor", folder / "iterate", folder / "programs.o"
        subprocess.run(["cc", "-O2", "-w", "-o", self.floor, HERE / "floor.c"], check=True)
        (folder / "records.h").write_text(header(), encoding="utf-8")
        cc = ["cc", "-O2", "-Wall", "-Werror", f"-I{folder}"]
        subprocess.run([*cc, "-o", self.iterate, HERE / "iterate.c", "-lbpf"], check=True)
        self.object.write_bytes(artifact.read(str(artifact.OBJECT)))

    def floor_in_c(self, *options: str) -> Figure:
        """The cheapest C on procfs; the first round warms it."""
        lines = _said([self.floor, *options, "-k", "6"])
        return Figure(statistics.median(json.loads(line)["cpu_ms"]["total"] for line in lines[1:]))

    def iterators_in_c(self) -> Figure:
        """The same BPF iterators, driven from C. In a memory cgroup as well: the kernel charges what the maps take."""
        with memory_cgroup() as cgroup:
            lines = _said(_within(cgroup, [self.iterate, self.object, "8"]))
        return Figure(statistics.median(float(line.split()[0]) for line in lines[2:]))


def ours(source: str, budget: str = AGENT_BUDGET, rounds: int = 8) -> Figure:
    """This project, in a process of its own, steady."""
    with memory_cgroup() as cgroup:
        (line,) = _said(_within(cgroup, [sys.executable, "-m", "bench.ours", source, budget, rounds, cgroup or ""]))
        facts = json.loads(line)
    return Figure(facts["sweep"], facts["rss"], facts)


@contextmanager
def memory_cgroup() -> Iterator[str | None]:
    """A memory cgroup of this run's own; `None` where none can be made."""
    base = "/sys/fs/cgroup/memory" if os.path.isdir("/sys/fs/cgroup/memory") else "/sys/fs/cgroup"
    folder = f"{base}/sockaudit-bench-{os.getpid()}"
    try:
        os.mkdir(folder)
    except OSError:
        yield None
        return
    try:
        yield folder
    finally:
        for _ in range(50):
            with suppress(OSError):
                os.rmdir(folder)
                break
            time.sleep(0.1)


def _within(cgroup: str | None, words: list[Any]) -> list[Any]:
    """Have a program join before it begins: what was charged before is charged elsewhere."""
    return ["sh", "-c", 'echo 0 > "$0/cgroup.procs"; exec "$@"', cgroup, *words] if cgroup else words


def command(*words: str) -> Figure:
    """Any command, run once warm."""
    for _ in range(2):
        before = _children()
        done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        spent = _children() - before
        _check(words[0], done)
    return Figure(spent)


def ss_everywhere(pids: list[int]) -> Figure:
    """`ss` in each network namespace."""
    return Figure(sum(command("nsenter", "--target", str(pid), "--net", "ss", "-tanp").milliseconds for pid in pids))


def exporter(*words: str) -> Figure:
    """A daemon that looks when it is scraped. Its last word is the option of an address, which is added."""
    port = _free_port()
    command = [*words, f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _scrape(port, process, patience=240)
            of = psutil.Process(process.pid)
            before = sum(of.cpu_times()[:2])
            for _ in range(5):
                _scrape(port, process)
            spent = (sum(of.cpu_times()[:2]) - before) / 5 * 1e3
            if process.poll() is not None:
                sys.exit(f"bench: {words[0]} ended: another may have taken its port")
            return Figure(spent, of.memory_info().rss / 2**20)
        finally:
            process.kill()


def peers(pids: list[int]) -> dict[str, Callable[[], Figure]]:
    """What others do, by name. Each sees another part of what this project sees."""
    known: dict[str, Callable[[], Figure]] = {
        "`ss -tanp`, one network namespace": lambda: command("ss", "-tanp"),
        f"`ss -tanp` in {len(pids)} network namespaces": lambda: ss_everywhere(pids),
        "`lsof -n -P`": lambda: command("lsof", "-n", "-P"),
        "psutil: num_fds and net_connections of each process": lambda: command(sys.executable, "-c", PSUTIL),
        "node_exporter, a scrape": lambda: exporter("prometheus-node-exporter", "--web.listen-address"),
        "process-exporter, a scrape": _process_exporter,
    }
    tools = {
        "ss": "ss",
        "lsof": "lsof",
        "node_exporter": "prometheus-node-exporter",
        "process-exporter": "prometheus-process-exporter",
    }
    for word, tool in tools.items():
        if shutil.which(tool) is None:
            sys.exit(f"bench: {word} is not installed: tests/bed/packages.sh installs it")
    return known


def _process_exporter() -> Figure:
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as settings:
        settings.write('process_names:\n  - name: "{{.Comm}}"\n    cmdline: [".+"]\n')
        settings.flush()
        return exporter("prometheus-process-exporter", "-config.path", settings.name, "-web.listen-address")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _scrape(port: int, process: subprocess.Popen[bytes], patience: float = 0.0) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
                reply.read()
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _children() -> float:
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (use.ru_utime + use.ru_stime) * 1e3


def _said(words: list[Any]) -> list[str]:
    environment = os.environ | {"PYTHONPATH": f"{PROJECT / 'tests'}:{PROJECT}"}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment, check=False)
    _check(words[0], done)
    return done.stdout.splitlines()


def _check(name: object, done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        sys.exit(f"bench: {name} failed: {done.stderr[-2000:]}")
