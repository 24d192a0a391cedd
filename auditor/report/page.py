"""The report as one HTML file that opens offline: nothing is fetched, everything is escaped, and it stays under 2 MB.

The heat map is a table, so that it can be read aloud, sorted and filtered. A few lines of script sort and filter; without
script all rows are there.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources

from auditor.model.words import count, duration
from auditor.report import shape
from auditor.report.charts import charts
from auditor.report.heat import columns, row
from auditor.report.text import Cell, Section, more_rows, sections, silent

_NAMES_OPEN = 20  # of nodes that did not report; more are folded
_NAMES_BYTES = 40_000
_ROWS_MAX = 200
_TABLE_BYTES = 150_000
_HEAT_BYTES = 400_000
_WORD, _NAME = 20, 60  # characters: the first stay in one line, what is longer than the second needs a wide column

_ORDER = (
    "Changes",
    "To change",
    "Nofile drift",
    "Top consumers",
    "Findings open longest",
    "Namespaces",
    "Pools",
    "Limits",
)
"""What to do first, the detail last."""


def write(report: shape.Report) -> str:
    """Return the page.

    Raises:
        PageError: the charting library is not installed.
    """
    style, script = (resources.files("auditor.report").joinpath(name).read_text() for name in ("page.css", "page.js"))
    body = "\n".join(_body(report))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>Capacity report {escape(report.generated_at)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{body}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _body(report: shape.Report) -> Iterator[str]:
    yield "<header><h1>Capacity report</h1>"
    for sentence in report.sentences:
        yield f'<p class="say">{escape(sentence)}</p>'
    about = " to ".join(dict.fromkeys(report.window)) or "no status at all"
    made = f"made {report.generated_at} from {', '.join(report.sources)}"
    oldest = max(report.nodes.stale_seconds.values(), default=0)
    behind = f" The oldest status is {duration(oldest)} behind." if oldest else ""
    yield f'<p class="about">Statuses of {escape(about)}, {escape(made)}.{behind}</p>'
    for what, names in silent(report.nodes):
        yield _names(what, names)
    yield "</header>\n<main>"
    yield '<label class="filter">Filter all tables <input type="search" id="filter" autocomplete="off"></label>'
    yield from _heat(report.pools)
    yield from charts(report.pools)
    for section in sorted(sections(report), key=_place):
        if section.rows:
            yield from _section(section)
    yield "</main>"


def _names(what: str, names: Sequence[str]) -> str:
    shown, left = _within((escape(name) for name in names), len(names), _NAMES_BYTES)
    more = f" and {count(left)} more" if left else ""
    summary = f"<strong>{escape(what.capitalize())}</strong> ({count(len(names))})"
    is_open = " open" if len(names) <= _NAMES_OPEN else ""
    return f"<details{is_open}><summary>{summary}</summary><p>{', '.join(shown)}{more}</p></details>"


def _heat(pools: Sequence[shape.Pool]) -> Iterator[str]:
    """Pools by limits, what is worst first and leftmost."""
    names = columns(pools)
    if not names:
        return
    yield "<section><h2>Headroom</h2>"
    yield (
        "<p>Peak use of each limit on the fullest node of a pool, and how many more pods it lets in on the tightest node. Red: "
        "90 % or more, or no pod more; amber: 70 % or more, or it ends before the pod slots of a node do.</p>"
    )
    heads = (_head("Pool"), _head("More pods on one node", is_figure=True), *map(_head, ("Ends first", *names)))
    yield _table("Headroom", heads, "sort heat")
    yield from _rows((row(pool, names) for pool in pools), len(pools), _HEAT_BYTES)
    yield "</section>"


def _place(section: Section) -> int:
    return next((number for number, title in enumerate(_ORDER) if section.title.startswith(title)), len(_ORDER))


def _section(section: Section) -> Iterator[str]:
    yield f"<section><h2>{escape(section.title)}</h2>"
    figures = [
        any(isinstance(cell, int) for cell in column) or not any(column) for column in zip(*section.rows, strict=True)
    ]
    heads = (_head(name.capitalize(), is_figure=figure) for name, figure in zip(section.columns, figures, strict=True))
    yield _table(section.title, heads, "sort")
    rows = (f"<tr>{''.join(map(_cell, cells))}</tr>" for cells in section.rows)
    yield from _rows(rows, len(section.rows), _TABLE_BYTES)
    yield "</section>"


def _table(title: str, heads: Iterable[str], classes: str) -> str:
    region = f'<div class="wide" role="region" tabindex="0" aria-label="{escape(title)}">'
    return f'{region}<table class="{classes}"><thead><tr>{"".join(heads)}</tr></thead><tbody>'


def _head(name: str, *, is_figure: bool = False) -> str:
    return f'<th scope="col" aria-sort="none"{" class=figure" if is_figure else ""}>{escape(name)}</th>'


def _rows(rows: Iterable[str], number: int, most_bytes: int) -> Iterator[str]:
    shown, left = _within(rows, number, most_bytes)
    yield from shown
    yield "</tbody></table></div>" + (f'<p class="about">{more_rows(left)}</p>' if left else "")


def _within(parts: Iterable[str], number: int, most_bytes: int) -> tuple[list[str], int]:
    """Return as many of the first parts as there is room for, and how many are left."""
    shown: list[str] = []
    for part in parts:
        most_bytes -= len(part.encode())
        if most_bytes < 0 or len(shown) == _ROWS_MAX:
            break
        shown.append(part)
    return shown, number - len(shown)


def _cell(value: Cell) -> str:
    if value is None:
        return '<td class="figure unknown" data-sort="-1">?</td>'
    if isinstance(value, int):
        return f'<td class="figure" data-sort="{value}">{count(value)}</td>'
    is_word = len(value) <= _WORD
    return f"<td{' class=word' if is_word else ''}>{escape(value)}</td>"
