"""The figures as a page and charts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from bench.subjects import Figure
from matplotlib.figure import Figure as Chart

Growth = Mapping[str, Sequence[tuple[int, Mapping[str, float]]]]
_WHY = """# What a sweep costs

Made by `make bench` on {machine}. CPU is user and system time of one look at the node, steady:
after three to warm up, the median of several. What is compared closely takes turns, and ratios are the median of those of
each turn. They are to the cheapest C program on procfs that tells descriptors apart (`tests/bench/floor.c -r`).

## 300 processes, 90,000 descriptors, 30,000 TCP sockets, 20 network namespaces
"""


def write(
    folder: Path,
    machine: str,
    standard: Mapping[str, Figure],
    over_c: float,
    sizes: Mapping[str, Figure],
    growth: Growth,
) -> None:
    """Write benchmark.md and a chart for each growth."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "sockaudit"  # the same figures make the same file
    folder.mkdir(parents=True, exist_ok=True)
    floor = next(iter(standard.values())).milliseconds
    lines = [_WHY.format(machine=machine), "| | CPU ms | ratio | RSS MiB | dumps |", "|---|---:|---:|---:|---:|"]
    for name, one in standard.items():
        dumps = (one.facts or {}).get("dumps")
        figures = (
            f"{one.milliseconds:,.0f}",
            f"{one.milliseconds / floor if one.ratio is None else one.ratio:.3f}",
            _figure(one.mebibytes),
            _figure(dumps, 1),
        )
        lines.append(f"| {name} | {' | '.join(figures)} |")
    lines += ["", f"The BPF sweep costs {over_c:.2f} of the same iterators driven from C, in the median of its turns."]
    lines += ["", "`dumps`: TCP dumps of single network namespaces that fell due, on average of a sweep.", ""]
    lines += ["## The agent's size", ""]
    lines += [
        "| node | source | sweep, CPU ms | whole turn | rules alone | % of a core at 30 s | RSS MiB | peak | working set |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in sizes.items():
        facts = one.facts or {}
        lines.append(
            f"| {name} | {facts['source']} | {facts['sweep']:,.0f} | {facts['whole']:,.0f} | {facts['assess']:.1f} "
            f"| {facts['whole'] / 300:.2f} | {facts['rss']:.0f} | {facts['peak']:.0f} | {_figure(facts['working_set'])} |"
        )
    lines += ["", "## How it grows", ""]
    for what, steps in growth.items():
        name = f"growth-{what.replace(' ', '-').lower()}.svg"
        _chart(folder / name, what, steps)
        lines += [f"![CPU of a sweep over {what}]({name})", ""]
        subjects = list(steps[0][1])
        lines += [
            f"| {what} | " + " | ".join(f"{one}, ms" for one in subjects) + " |",
            "|---:|" + "---:|" * len(subjects),
        ]
        lines += [
            f"| {size:,} | " + " | ".join(f"{figures[one]:,.0f}" for one in subjects) + " |" for size, figures in steps
        ]
        lines.append("")
    text = "\n".join(lines)
    (folder / "benchmark.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    print(text)


def _figure(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _chart(path: Path, what: str, steps: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    chart = Chart(figsize=(7, 3.5), layout="constrained")
    axes = chart.add_subplot()
    for name in steps[0][1]:
        axes.plot([size for size, _ in steps], [figures[name] for _, figures in steps], marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel=what, ylabel="CPU of a sweep, ms")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    chart.savefig(path, metadata={"Date": None})
