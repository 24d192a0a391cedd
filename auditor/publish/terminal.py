"""The screen of `sockaudit scan`: the worst first, the answer before the evidence. Reads the object, nothing else.

Whatever it prints came from processes, pods or an API: it goes through `clean` and into a `Text`, never into markup.
"""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.model.words import clean, count, duration
from auditor.publish import object as shape
from auditor.publish.conditions import AGAIN
from auditor.publish.when import maybe_epoch

ROWS = 10
LIMIT_ROWS = 5
BAR_CELLS = 16
NARROW_COLUMNS = 80  # below: names, descriptors, sockets, CLOSE_WAIT
MEDIUM_COLUMNS = 100  # below: half bars, fewer socket states
WIDE_COLUMNS = 120  # from here on: descriptions, and the limit of the worst process
_NAME_COLUMNS = 26  # a name is worth more than what its worst process is called
_STYLES = {"OK": "green", "Warning": "yellow", "Critical": "bold red", "Unknown": "magenta", "Info": "cyan"}
_WHY_NOT = "BPF"
_JUDGED = " that could be judged"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SEVERITY_COLUMNS = 10


def render(status: shape.Status, node: str, console: Console, *, all_rows: bool = False) -> None:
    """Print one audit.

    Args:
        status: what was found.
        node: name of the node.
        console: where to; its width decides how much is shown.
        all_rows: every owner and limit, not only the first ten and those in use.
    """
    _head(status, node, console)
    _limits(status, console, all_rows=all_rows)
    _findings(status, console)
    console.print()
    rows: list[shape.Pod | shape.Other] = [*status.pods] if status.pods else [*status.others]
    if status.pods and all_rows:
        rows += status.others
    shown = rows if all_rows else rows[:ROWS]
    console.print(_owners(shown, "POD" if status.pods else "OWNER", console.width))
    if len(rows) > len(shown):
        console.print(Text(f"({len(rows) - len(shown)} more: --all)", style="dim"))
    _gaps(status, console)


def _head(status: shape.Status, node: str, console: Console) -> None:
    totals = status.node.totals
    parts = [
        clean(node),
        f"Linux {clean(status.node.kernel)}",
        _counted(status.node.pods, "pod", "pods"),
        _counted(status.node.processes, "process", "processes"),
        _counted(totals.fds, "FD", "FDs"),
        _counted(totals.sockets, "socket", "sockets"),
        f"{clean(status.coverage.source)}, {duration(status.coverage.sweep_seconds)}",
    ]
    verdict = Text(status.verdict.upper(), style=_STYLES[status.verdict])
    first, *rest = _lines(parts, console.width - verdict.cell_len - 2)
    first.append(" " * max(2, console.width - first.cell_len - verdict.cell_len))
    console.print(first.append_text(verdict), soft_wrap=True)
    for line in rest:
        console.print(line, soft_wrap=True)
    console.print()


def _counted(number: int | None, one: str, many: str) -> str:
    if number is None:
        return f"{many} unknown"
    return f"{count(number) if number else 'no'} {one if number == 1 else many}"


def _lines(parts: Sequence[str], width: int) -> list[Text]:
    """Join the parts to lines that break between parts only."""
    lines = [Text(parts[0])]
    for part in parts[1:]:
        longer = Text.assemble(lines[-1], " · ", part)
        if longer.cell_len <= width:
            lines[-1] = longer
        else:
            lines.append(Text(part))
    return lines


def _limits(status: shape.Status, console: Console, *, all_rows: bool) -> None:
    """Print the limits, the fullest first; those next to nothing of which is used in one line."""
    rows = sorted(status.limits, key=lambda row: -1 if row.percent is None else row.percent, reverse=True)
    shown = [row for number, row in enumerate(rows) if all_rows or number < LIMIT_ROWS or _is_worth_a_line(row)]
    console.print(_limit_table(shown, maybe_epoch(status.observed_at), console.width))
    folded = sorted({row.name for row in rows} - {row.name for row in shown})
    if folded:
        console.print(Text(f"below 1 %: {', '.join(map(clean, folded))} (--all)", style="dim"))


def _is_worth_a_line(row: shape.LimitUse) -> bool:
    """Whether something of it is used, or it is unknown how much."""
    if row.limit_state == "Unlimited":
        return row.used != 0
    return row.percent != 0


def _limit_table(rows: Iterable[shape.LimitUse], observed: float | None, width: int) -> Table:
    table = new_table()
    table.add_column("LIMIT", no_wrap=True)
    table.add_column("SCOPE", ratio=1, overflow="ellipsis", no_wrap=True)
    table.add_column("USED", justify="right", no_wrap=True)
    table.add_column("LIMIT", justify="right", no_wrap=True)
    table.add_column("USE", no_wrap=True)
    table.add_column("FULL IN", justify="right", no_wrap=True)
    for limit in rows:
        used = "unknown" if limit.used is None else ("~" if limit.estimate else "") + count(limit.used)
        maximum = count(limit.limit) if limit.limit is not None else limit.limit_state.lower()
        table.add_row(
            Text(limit.name),
            Text(clean(limit.scope)),
            Text(used),
            Text(maximum),
            _bar(limit.percent, BAR_CELLS if width >= MEDIUM_COLUMNS else BAR_CELLS // 2),
            Text(_full_in(limit, observed)),
        )
    return table


def _full_in(limit: shape.LimitUse, observed: float | None) -> str:
    """The time from the audit to the end that is foreseen."""
    end = maybe_epoch(limit.exhausts_at)
    return "-" if end is None or observed is None else duration(end - observed)


def _bar(percent: int | None, cells: int) -> Text:
    if percent is None:
        return Text("")
    eighths = min(percent, 100) * cells * 8 // 100
    bar = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    style = "red" if percent >= 95 else "yellow" if percent >= 70 else "green"  # noqa: PLR2004 - colour only
    return Text.assemble((bar.ljust(cells), style), f" {percent:>3} %")


def _findings(status: shape.Status, console: Console) -> None:
    shown = [finding for finding in status.findings if finding.severity != "Info"]
    for finding in shown:
        console.print()
        mark = Text(finding.severity.upper(), style=_STYLES[finding.severity])
        _entry(mark, _finding(finding), console)
    healthy = next((one for one in status.conditions if one.type == "Healthy"), None)
    once = healthy is not None and AGAIN in healthy.message
    if healthy and (status.verdict == "Unknown" or once):
        console.print()
        lines = [Text(clean(healthy.message))]
        lines += [Text("look again: sockaudit scan --count 2 --interval 1 -o json")] if once else []
        _entry(Text("UNKNOWN" if status.verdict == "Unknown" else "ONCE", style=_STYLES["Unknown"]), lines, console)
    elif not shown:
        console.print()
        judged = "" if all(one.limit_state != "Unknown" and one.used is not None for one in status.limits) else _JUDGED
        console.print(Text(f"Nothing{judged} is near its end.", style=_STYLES["OK"]))


def _finding(finding: shape.Finding) -> Iterator[Text]:
    yield Text.assemble((clean(finding.rule), "bold"), "  ", clean(finding.message))
    if finding.consumers:
        yield Text("taken by: " + " · ".join(_share(one) for one in finding.consumers))
    if finding.affected:
        yield Text("fails next: " + " · ".join(_share(one) for one in finding.affected))
    yield Text("fix: " + clean(finding.remedy))


def _entry(mark: Text, lines: Iterable[Text], console: Console) -> None:
    """Print lines behind a mark: wrapped under each other on a terminal, whole in a pipe."""
    mark.pad_right(_SEVERITY_COLUMNS - mark.cell_len)
    if console.is_terminal:
        grid = Table.grid()
        grid.add_column(width=_SEVERITY_COLUMNS, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(mark, Text("\n").join(lines))
        console.print(grid)
        return
    for number, line in enumerate(lines):
        console.print(mark if number == 0 else " " * _SEVERITY_COLUMNS, line, sep="", soft_wrap=True)


def _share(share: shape.Share) -> str:
    name = f"{share.namespace}/{share.name}" if share.namespace else share.name or share.uid or share.kind.lower()
    name += f" (pid {share.pid} {share.command})" if share.pid is not None and share.command else ""
    about = "about" if share.estimate else ""
    figures = () if share.used is None else (about, count(share.used), share.unit or "")
    return clean(" ".join(filter(None, (name, *figures))))


def _owners(rows: Iterable[shape.Pod | shape.Other], title: str, width: int) -> Table:
    table = new_table()
    medium, wide = width >= MEDIUM_COLUMNS, width >= WIDE_COLUMNS
    table.add_column(title, ratio=1, min_width=_NAME_COLUMNS, overflow="ellipsis", no_wrap=True)
    for name, shown in (
        ("FDS", True),
        ("DESCRIPTIONS", wide),
        ("SOCKETS", True),
        ("ESTAB", medium),
        ("TIME_WAIT", width >= NARROW_COLUMNS),
        ("CLOSE_WAIT", True),
    ):
        if shown:
            table.add_column(name, justify="right", no_wrap=True)
    if width >= NARROW_COLUMNS:
        table.add_column("WORST PROCESS", no_wrap=True, overflow="ellipsis")
    for row in rows:
        sockets = row.sockets
        tcp = sockets.tcp if sockets else None
        cells = [_figure(row.fds)]
        cells += [_figure(row.open_descriptions)] if wide else []
        cells += [_figure(shape.total(sockets))]
        cells += [_figure(tcp.established if tcp else None)] if medium else []
        cells += [_figure(tcp.time_wait if tcp else None)] if width >= NARROW_COLUMNS else []
        cells += [_figure(tcp.close_wait if tcp else None)]
        cells += [Text(_worst(row.worst_process, wide=wide))] if width >= NARROW_COLUMNS else []
        table.add_row(Text(_name(row)), *cells)
    return table


def _name(row: shape.Pod | shape.Other) -> str:
    if isinstance(row, shape.Pod):
        return clean(f"{row.namespace}/{row.name}" if row.namespace and row.name else f"pod {row.uid}")
    name = row.name or row.kind.lower()
    return clean(f"container {name[:12]}" if row.kind == "Container" else name)


def _figure(value: int | None) -> Text:
    return Text("?" if value is None else count(value))


def _worst(process: shape.WorstProcess | None, *, wide: bool) -> str:
    if process is None:
        return ""
    limit = "" if process.soft_limit is None or not wide else f" of {count(process.soft_limit)}"
    share = "" if process.percent is None else f" {process.percent} %"
    return f"{process.pid} {clean(process.command)}{share}{limit}"


def _gaps(status: shape.Status, console: Console) -> None:
    if status.coverage.gaps:
        console.print()
    for gap in status.coverage.gaps:
        facts = [] if gap.count is None else [count(gap.count)]
        facts += [f"cannot judge {clean(', '.join(gap.limits))}"] if gap.limits else []
        tail = f" ({'; '.join(facts)})" if facts else ""
        _entry(Text("not seen:", style=_STYLES["Unknown"]), [Text(clean(gap.detail) + tail)], console)
    if status.coverage.gaps_truncated:
        console.print(Text(f"({count(status.coverage.gaps_truncated)} more gaps)", style="dim"))
    if status.coverage.source == "procfs" and _WHY_NOT in status.coverage.reason:
        _entry(
            Text("source:", style="dim"), [Text(f"procfs, for {clean(status.coverage.reason)}", style="dim")], console
        )


def new_table() -> Table:
    """Return a table as all screens have it: no lines, a bold head, the whole width."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="bold")
