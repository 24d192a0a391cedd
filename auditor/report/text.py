"""The report as tables: as Markdown, for a ticket or a wiki, and as CSV, for a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from auditor.model.words import count, duration
from auditor.report import shape
from auditor.report.capacity import SLOTS

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+!|~&])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ROWS_MAX = 100  # of a table that a person reads

Cell = int | str | None
"""`None` is unknown; empty is what does not apply."""


class Section(NamedTuple):
    """One table."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Cell]]


def sections(report: shape.Report) -> Iterator[Section]:
    """Yield each table, all rows of it."""
    yield Section(
        "Pools",
        ("pool", "nodes", "pods", "more pods on one node", "more pods in all", "ends first", "tightest node"),
        [
            (p.name, p.nodes, pods(p), p.pods_until_limit, pods_in_all(p), ends(p), p.tightest_node)
            for p in report.pools
        ],
    )
    yield Section(
        "Limits",
        ("pool", "limit", "fullest node", "used", "limit value", "percent", "peak percent", "more pods on one node"),
        [
            (
                p.name,
                one.name,
                one.worst_node,
                one.used,
                maximum(one),
                one.percent,
                one.peak_percent,
                one.pods_until_limit,
            )
            for p in report.pools
            for one in p.limits
        ],
    )
    yield Section(
        "To change",
        ("kind", "where", "limit", "now", "peak", "recommended", "setting", "buys"),
        [
            (one.kind, one.where, one.limit, one.now, one.peak, one.recommended, one.setting, one.buys)
            for one in report.recommendations
        ],
    )
    yield Section(
        "Nofile drift",
        ("namespace", "workload", "what", "limit", "on", "other limit", "on"),
        [(one.namespace, f"{one.kind}/{one.name}", *one.cells) for one in report.drift],
    )
    yield Section(
        consumers_title(report),
        ("namespace", "pod", "node", "fds", "peak", "sockets"),
        [(c.namespace, c.name, c.node, c.fds, c.fds_peak, c.sockets) for c in report.consumers],
    )
    yield Section(
        "Namespaces",
        ("namespace", "pods", "fds of the pods listed", "findings"),
        [
            (n.name, _at_least(n.pods, n.pods_unknown_workloads), _at_least(n.fds, n.fds_unknown_pods), n.findings)
            for n in report.namespaces
        ],
    )
    yield Section(
        "Findings open longest",
        ("severity", "rule", "node", "subject", "open since", "message", "remedy"),
        [(f.severity, f.rule, f.node, f.subject, f.since, f.message, f.remedy) for f in report.findings],
    )
    if report.changes is not None:
        unchanged: list[Sequence[Cell]] = [("all", "no change", "", "")]
        yield Section(
            "Changes",
            ("pool or workload", "what", "before", "after"),
            [one.cells for one in report.changes] or unchanged,
        )


def consumers_title(report: shape.Report) -> str:
    """Say of how many the greatest are shown."""
    more = report.consumers_total > len(report.consumers)
    of_all = f", {len(report.consumers)} of {count(report.consumers_total)} pods that the nodes list" if more else ""
    return f"Top consumers{of_all}"


def pods(pool: shape.Pool) -> Cell:
    """Write the pods of a pool, of which some nodes may not say how many they have."""
    return _at_least(pool.pods, pool.pods_unknown_nodes)


def pods_in_all(pool: shape.Pool) -> Cell:
    """Write how many more pods fit on all nodes of a pool."""
    return _at_least(pool.pods_until_limit_sum, pool.unknown_nodes)


def _at_least(figure: int | None, unknown: int) -> Cell:
    return f"at least {count(figure)}" if figure is not None and unknown else figure


def ends(pool: shape.Pool) -> str:
    """Write what ends first in a pool."""
    names = filter(None, (pool.ends_first, *pool.also_ends))
    return ", ".join("pod slots" if name == SLOTS else name for name in names)


def maximum(limit: shape.PoolLimit) -> Cell:
    """Write a limit, or that there is none."""
    return "unlimited" if limit.state == "Unlimited" else limit.limit


def silent(nodes: shape.Nodes) -> Iterator[tuple[str, list[str]]]:
    """Yield who did not report and what was not understood: what it is, and each of it."""
    ages = nodes.stale_seconds
    for what, names in (
        ("stale, so in no figure", [f"{name} ({duration(ages.get(name, 0))})" for name in nodes.stale]),
        ("missing", nodes.missing),
        ("gone since an earlier file, counted in its peaks", nodes.gone),
        ("not understood", nodes.refused),
        ("note", nodes.notes),
    ):
        if names:
            yield what, names


def markdown(report: shape.Report) -> str:
    """Write Markdown."""
    lines = ["# Capacity report", ""]
    lines += [f"- {_escaped(sentence)}" for sentence in report.sentences]
    about = " to ".join(dict.fromkeys(report.window)) or "no status at all"
    lines += ["", f"Of {about}; made {report.generated_at} from {_escaped(', '.join(report.sources))}."]
    for what, names in silent(report.nodes):
        more = f" and {count(len(names) - _ROWS_MAX)} more" if len(names) > _ROWS_MAX else ""
        lines.append(f"\n{what}: {_escaped(', '.join(names[:_ROWS_MAX]))}{more}")
    for section in sections(report):
        if section.rows:
            lines += ["", f"## {_escaped(section.title)}", "", *_table(section.columns, section.rows[:_ROWS_MAX])]
        if len(section.rows) > _ROWS_MAX:
            lines += ["", more_rows(len(section.rows) - _ROWS_MAX)]
    return "\n".join(lines) + "\n"


def more_rows(number: int) -> str:
    """Say how many rows a table leaves out."""
    return f"{count(number)} more: -o json or -o csv"


def _table(names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield "|" + " --- |" * len(names)
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(value: Cell) -> str:
    if value is None:
        return "?"
    return _escaped(value) if isinstance(value, str) else count(value)


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)


def comma_separated(report: shape.Report) -> str:
    """Write CSV (RFC 4180): every table below its title in the first column, since a file has one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    nodes = report.nodes
    writer.writerows((("Nodes", "total", nodes.total), ("Nodes", "reporting", nodes.reporting)))
    writer.writerows(("Nodes", verdict, number) for verdict, number in nodes.verdicts.items())
    writer.writerows(("Nodes", what, _plain(", ".join(names))) for what, names in silent(nodes))
    for title, columns, rows in sections(report):
        writer.writerow(["table", *columns])
        writer.writerows([title, *map(_plain, row)] for row in rows)
    return out.getvalue()


def _plain(value: Cell) -> str:
    """A spreadsheet takes what begins like a formula for one: a quote in front makes it text."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
