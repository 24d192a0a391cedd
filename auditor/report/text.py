"""The report as Markdown, for a ticket or a wiki, and as CSV, for a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from auditor.model.words import count, duration
from auditor.report import shape

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+!|~&])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Cell = int | str | None


def sections(report: shape.Report) -> Iterator[tuple[str, Sequence[str], list[Sequence[Cell]]]]:
    """Yield each table: title, names of the columns, rows."""
    yield (
        "Pools",
        ("pool", "nodes", "pods", "more pods until limit", "in all", "ends first", "tightest node"),
        [
            (p.name, p.nodes, p.pods, p.pods_until_limit, p.pods_until_limit_sum, p.ends_first, p.tightest_node)
            for p in report.pools
        ],
    )
    yield (
        "Limits",
        ("pool", "limit", "fullest node", "used", "limit value", "percent", "peak percent", "more pods until limit"),
        [
            (p.name, one.name, one.worst_node, one.used, one.limit, one.percent, one.peak_percent, one.pods_until_limit)
            for p in report.pools
            for one in p.limits
        ],
    )
    yield (
        "To change",
        ("kind", "pool", "workload", "limit", "now", "peak", "recommended", "setting", "buys"),
        [
            (
                one.kind,
                one.pool,
                f"{one.namespace}/{one.workload}" if one.workload else None,
                one.limit,
                one.now,
                one.peak,
                one.recommended,
                one.setting,
                one.buys,
            )
            for one in report.recommendations
        ],
    )
    yield (
        "Nofile drift",
        ("namespace", "workload", "what", "limit", "on", "other limit", "on"),
        [(one.namespace, f"{one.kind}/{one.name}", *one.cells) for one in report.drift],
    )
    yield (
        "Top consumers",
        ("namespace", "pod", "node", "fds", "peak", "sockets"),
        [(c.namespace, c.name, c.node, c.fds, c.fds_peak, c.sockets) for c in report.consumers],
    )
    yield (
        "Namespaces",
        ("namespace", "pods", "fds of the pods listed", "findings"),
        [(n.name, n.pods, n.fds, n.findings) for n in report.namespaces],
    )
    yield (
        "Findings open longest",
        ("severity", "rule", "node", "subject", "open since", "message", "remedy"),
        [(f.severity, f.rule, f.node, f.subject, f.since, f.message, f.remedy) for f in report.findings],
    )
    if report.changes is not None:
        yield (
            "Changes",
            ("pool or workload", "what", "before", "after"),
            [(c.pool or c.workload or "all", c.what, c.before, c.after) for c in report.changes],
        )


def silent(nodes: shape.Nodes) -> Iterator[tuple[str, str]]:
    """Yield who did not report: what, and the names."""
    if nodes.stale:
        yield "stale, so in no figure", ", ".join(f"{one.name} ({duration(one.age or 0)})" for one in nodes.stale)
    if nodes.missing:
        yield "missing", ", ".join(nodes.missing)
    if nodes.gone:
        yield "gone since an earlier file, counted in its peaks", ", ".join(nodes.gone)
    if nodes.refused:
        yield "not understood", ", ".join(nodes.refused)


def markdown(report: shape.Report) -> str:
    """Write Markdown."""
    lines = ["# Capacity report", ""]
    lines += [f"- {_escaped(sentence)}" for sentence in report.sentences]
    about = " to ".join(dict.fromkeys(report.window)) or "no status at all"
    lines += ["", f"Of {about}; made {report.generated_at} from {_escaped(', '.join(report.sources))}."]
    lines += [f"\n{what}: {_escaped(names)}" for what, names in silent(report.nodes)]
    for title, columns, rows in sections(report):
        if rows:
            lines += ["", f"## {title}", "", *_table(columns, rows)]
    return "\n".join(lines) + "\n"


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
    for what, names in silent(report.nodes):
        writer.writerow(["Nodes", *map(_plain, (what, names))])
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
