"""`make bench`: one load, swept by this project and by its peers in one run. Writes docs/benchmark.md and its charts.

Ratios are what counts: the machine's own speed is in both parts of one.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import page
from bench.subjects import AGENT_BUDGET, Figure, Tools, ours, peers
from truth.starting import workload

# Pods, network namespaces, processes, descriptors of each, TCP sockets of each namespace, sharers of each process.
Load = tuple[int, int, int, int, int, int]
STANDARD: Load = (20, 20, 300, 300, 1500, 0)
ORDINARY: Load = (110, 110, 890, 40, 6, 0)
CROWDED: Load = (250, 250, 250, 40, 6, 0)
HUGE: Load = (100, 100, 600, 1500, 2000, 0)
FORKED: Load = (20, 20, 80, 1000, 500, 10)
GROWTH: dict[str, list[tuple[int, Load]]] = {
    "descriptors": [(10_000, (20, 20, 100, 100, 50, 0)), (100_000, (20, 20, 200, 500, 50, 0)),
                    (300_000, (20, 20, 400, 750, 50, 0)), (1_000_000, (20, 20, 1000, 1000, 50, 0))],
    "TCP sockets": [(1_000, (20, 20, 200, 100, 50, 0)), (10_000, (20, 20, 200, 100, 500, 0)),
                    (50_000, (20, 20, 200, 300, 2500, 0)), (200_000, (20, 20, 400, 600, 10_000, 0))],
    "pods": [(10, (10, 10, 20, 50, 20, 0)), (50, (50, 50, 100, 50, 20, 0)), (110, (110, 110, 220, 50, 20, 0)),
             (250, (250, 250, 500, 50, 20, 0))],
    "network namespaces": [(1, (200, 1, 200, 50, 100, 0)), (10, (200, 10, 200, 50, 100, 0)),
                           (50, (200, 50, 200, 50, 100, 0)), (200, (200, 200, 200, 50, 100, 0))],
}  # fmt: skip
TURNS = 7
SMALL: Load = (3, 3, 6, 40, 20, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument(
        "--quick", action="store_true", help="tiny loads: shows that everything runs, not what it costs"
    )
    parser.add_argument("--out", type=Path, default=Path("docs"), help="default: docs")
    options = parser.parse_args(arguments)
    if os.geteuid():
        sys.exit("bench: needs root: network namespaces, other users' descriptors, BPF")
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools(Path(folder))
        standard, over_c = _standard(tools, SMALL if options.quick else STANDARD, 1 if options.quick else TURNS)
        sizes = {
            name: _ours_under(SMALL if options.quick else load)
            for name, load in (
                ("ordinary: 110 pods, 1,000 processes", ORDINARY),
                ("250 pods, 500 processes", CROWDED),
                ("900,000 descriptors, 200,000 sockets, 100 network namespaces", HUGE),
                ("880,000 descriptors that forks share, 80,000 open files", FORKED),
            )
        }
        growth = {
            what: [
                (size, _all_under(tools, SMALL if options.quick else load))
                for size, load in steps[: 2 if options.quick else None]
            ]
            for what, steps in GROWTH.items()
        }
    machine = f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    page.write(options.out, machine, standard, over_c, sizes, growth)


def _standard(tools: Tools, load: Load, rounds: int) -> tuple[dict[str, Figure], float]:
    """Measure all under one load, and the ratio of the BPF sweep to the same iterators driven from C."""
    with workload("load", *load) as held:
        pids = _namespaces(held["pid"])
        # What is compared closely takes turns, and is compared within a turn: the machine is not equally fast at all times.
        turns = [
            (tools.floor_in_c("-r"), ours("procfs", AGENT_BUDGET), tools.iterators_in_c(), ours("bpf"))
            for _ in range(rounds)
        ]
        floor, procfs, iterators, bpf = map(list, zip(*turns, strict=True))
        whole = [Figure((one.facts or {})["whole"], one.mebibytes, one.facts) for one in bpf]
        found = {"C on procfs, each descriptor read (`floor.c -r`)": _compared(floor, floor)}
        found["C on procfs, counts and sockets only (`floor.c`)"] = tools.floor_in_c()
        found["the same iterators driven from C"] = _compared(iterators, floor)
        found["**SockAudit, BPF: the sweep**"] = _compared(bpf, floor)
        found["SockAudit, BPF: sweep, owners, rules, JSON"] = _compared(whole, floor)
        found["SockAudit, procfs, within the agent's budget"] = _compared(procfs, floor)
        found["SockAudit, procfs, everything read each time"] = ours("procfs", "none", 3)
        for name, measure in peers(pids).items():
            found[name] = measure()
            _tell(f"{name}: {found[name].milliseconds:.0f} ms")
        # The two are near each other, and so short that a neighbour's burst meets one of a pair only.
        more = [(tools.iterators_in_c(), ours("bpf")) for _ in range(2 * rounds)]
    return found, _ratio([*bpf, *(one for _, one in more)], [*iterators, *(one for one, _ in more)])


def _all_under(tools: Tools, load: Load) -> dict[str, float]:
    with workload("load", *load):
        time.sleep(1)
        found = {
            "SockAudit, BPF": ours("bpf", AGENT_BUDGET, 4).milliseconds,
            "SockAudit, procfs (agent's budget)": ours("procfs", AGENT_BUDGET, 4).milliseconds,
            "C on procfs": tools.floor_in_c("-r").milliseconds,
        }
    _tell(f"{load}: {found}")
    return found


def _ours_under(load: Load) -> Figure:
    with workload("load", *load):
        time.sleep(1)
        figure = ours("auto", AGENT_BUDGET, 6)
    _tell(f"{load}: {figure}")
    return figure


def _compared(turns: Sequence[Figure], others: Sequence[Figure]) -> Figure:
    """Return the median of the turns, with the ratio to what took the same turns."""
    median = sorted(turns, key=lambda one: one.milliseconds)[len(turns) // 2]
    return replace(median, ratio=_ratio(turns, others))


def _ratio(turns: Sequence[Figure], others: Sequence[Figure]) -> float:
    return statistics.median(one.milliseconds / other.milliseconds for one, other in zip(turns, others, strict=True))


def _namespaces(leader: int) -> list[int]:
    """A process of each network namespace of the load."""
    found: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if f"sockaudit-truth-{leader}/" in Path("/proc", name, "cgroup").read_text(encoding="utf-8"):
                    found[os.stat(f"/proc/{name}/ns/net").st_ino] = int(name)
            except OSError:
                continue
    return list(found.values())


def _tell(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")


main()
