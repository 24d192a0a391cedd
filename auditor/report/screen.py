"""The report on a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.model.words import count, duration
from auditor.publish.terminal import new_table
from auditor.report import shape
from auditor.report.text import Cell, consumers_title, ends, more_rows, pods, pods_in_all, silent
from auditor.report.window import named

_ROWS = 10
_LIMITS = 4


def render(report: shape.Report, console: Console) -> None:
    """Print the sentences, then headroom, what to change, drift, consumers and findings. Its text is clean already."""
    for sentence in report.sentences:
        console.print(Text(sentence, style="bold"), soft_wrap=not console.is_terminal)
    for what, names in silent(report.nodes):
        console.print(Text(f"{what}: {named(names, _ROWS)}"), soft_wrap=not console.is_terminal)
    console.print()
    _print(console, "HEADROOM", _pools(report.pools), len(report.pools))
    _print(console, "TO CHANGE", _recommendations(report.recommendations), len(report.recommendations))
    _print(console, "NOFILE DRIFT", _drift(report.drift), len(report.drift))
    _print(console, consumers_title(report).upper(), _consumers(report.consumers), len(report.consumers))
    _print(console, "OPEN LONGEST", _findings(report.findings), len(report.findings))
    if report.changes is not None:
        _print(console, "CHANGES", _changes(report.changes), len(report.changes))
        if not report.changes:
            console.print(Text("No change since the earlier file."))


def _print(console: Console, title: str, table: Table, rows: int) -> None:
    if not rows:
        return
    console.print(Text(title, style="bold"))
    console.print(table)
    if rows > len(table.rows):
        console.print(Text(f"({more_rows(rows - len(table.rows))})", style="dim"))
    console.print()


def _pools(found: Iterable[shape.Pool]) -> Table:
    table = _columns(
        "POOL", "NODES>", "PODS>", "MORE ON A NODE>", "MORE IN ALL>", "ENDS FIRST", "TIGHTEST NODE", "PEAKS"
    )
    for pool in found:
        reached = sorted(pool.limits, key=lambda one: -(one.peak_percent or 0))[:_LIMITS]
        _row(
            table,
            pool.name,
            pool.nodes,
            pods(pool),
            pool.pods_until_limit,
            pods_in_all(pool),
            ends(pool) or "-",
            pool.tightest_node or "-",
            ", ".join(f"{one.name} {_figure(one.peak_percent)} %" for one in reached),
        )
    return table


def _recommendations(rows: Sequence[shape.Recommendation]) -> Table:
    table = _columns("WHERE", "NOW>", "PEAK>", "SET", "BUYS")
    for one in rows[: 2 * _ROWS]:
        where = one.where if one.kind == "nofile" else f"{one.where} {one.limit}"
        _row(table, where, one.now, one.peak, one.setting, one.buys)
    return table


def _drift(rows: Sequence[shape.Drift]) -> Table:
    table = _columns("WORKLOAD", "WHAT", "LIMIT>", "ON", "OTHER>", "ON")
    for one in rows[:_ROWS]:
        _row(table, f"{one.namespace} {one.kind}/{one.name}", *one.cells)
    return table


def _consumers(rows: Sequence[shape.Consumer]) -> Table:
    table = _columns("POD", "NODE", "FDS>", "PEAK>", "SOCKETS>")
    for one in rows[:_ROWS]:
        _row(table, f"{one.namespace}/{one.name}", one.node, one.fds, one.fds_peak, one.sockets)
    return table


def _findings(rows: Sequence[shape.OpenFinding]) -> Table:
    table = _columns("SEVERITY", "RULE", "NODE", "SUBJECT", "OPEN FOR>")
    for one in rows[:_ROWS]:
        age = "unknown" if one.age is None else duration(one.age)
        _row(table, one.severity, one.rule, one.node, one.subject, age)
    return table


def _changes(rows: Sequence[shape.Change]) -> Table:
    table = _columns("POOL OR WORKLOAD", "WHAT", "BEFORE>", "AFTER>")
    for one in rows[: 2 * _ROWS]:
        _row(table, *one.cells)
    return table


def _columns(*names: str) -> Table:
    """Make a table; `>` marks figures."""
    table = new_table()
    for name in names:
        right = name.endswith(">")
        table.add_column(name.removesuffix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table


def _row(table: Table, *cells: Cell) -> None:
    table.add_row(*(Text(cell if isinstance(cell, str) else _figure(cell)) for cell in cells))


def _figure(value: int | None) -> str:
    return "?" if value is None else count(value)
