"""The report as one HTML file that opens offline: nothing is fetched, everything is escaped.

Charts are SVG by matplotlib, whose text stays text. The heat map is a table, so that it can be read aloud, sorted and
filtered. A few lines of script sort and filter; without script all rows are there.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources

from auditor.model.words import count
from auditor.report import shape
from auditor.report.capacity import more_pods
from auditor.report.text import Cell, sections, silent

_CHARTS_MAX = 6
_NAMES_SHOWN = 20  # of nodes that did not report; more are folded
_HOT, _WARM = 90, 70


class PageError(Exception):
    """The page cannot be made. The text is one line for a person, with what to do."""


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
    oldest = max((one.age or 0 for one in report.nodes.stale), default=0)
    behind = f" The oldest status is {count(oldest // 60)} min behind." if oldest else ""
    yield f'<p class="about">Statuses of {escape(about)}, {escape(made)}.{behind}</p>'
    for what, names in silent(report.nodes):
        number = names.count(", ") + 1
        summary = f"<strong>{escape(what.capitalize())}</strong> ({count(number)})"
        shown = " open" if number <= _NAMES_SHOWN else ""
        yield f"<details{shown}><summary>{summary}</summary><p>{escape(names)}</p></details>"
    yield "</header>\n<main>"
    yield '<label class="filter">Filter all tables <input type="search" id="filter" autocomplete="off"></label>'
    yield from _heat(report.pools)
    yield from _distribution(report.pools)
    for title, columns, rows in sections(report):
        if rows and title != "Limits":
            yield from _section(title, columns, rows)
    yield "</main>"


def _heat(pools: Sequence[shape.Pool]) -> Iterator[str]:
    """Pools by limits: the peak in percent, and how many more pods; the colour says what the figure says."""
    tightest: dict[str, tuple[bool, int, int]] = {}
    for limit in (limit for pool in pools for limit in pool.limits):
        fit = -1 if limit.pods_until_limit is None else limit.pods_until_limit
        rank = (fit < 0, fit, -(limit.peak_percent or 0))
        tightest[limit.name] = min(rank, tightest.get(limit.name, rank))
    names = sorted(tightest, key=lambda name: (tightest[name], name))
    if not names:
        return
    yield "<section><h2>Headroom</h2>"
    yield "<p>Peak use of each limit on the fullest node of a pool, and how many more pods the tightest node takes.</p>"
    yield '<div class="wide"><table class="sort heat"><thead><tr><th scope="col" aria-sort="none">Pool</th>'
    yield '<th scope="col" aria-sort="none">More pods</th><th scope="col" aria-sort="none">Ends first</th>'
    yield "".join(f'<th scope="col" aria-sort="none">{escape(name)}</th>' for name in names) + "</tr></thead><tbody>"
    for pool in pools:
        limits = {limit.name: limit for limit in pool.limits}
        first = f"{_figure(pool.pods_until_limit)}<td>{escape(pool.ends_first or '?')}</td>"
        yield f'<tr><th scope="row" class="name">{escape(pool.name)}</th>{first}'
        yield "".join(_heat_cell(limits.get(name)) for name in names) + "</tr>"
    yield "</tbody></table></div></section>"


def _heat_cell(limit: shape.PoolLimit | None) -> str:
    if limit is None:
        return '<td data-sort="-1">-</td>'
    if limit.peak_percent is None:
        return f'<td data-sort="-1" class="unknown">{escape(limit.state.lower())}</td>'
    level = "hot" if limit.peak_percent >= _HOT else "warm" if limit.peak_percent >= _WARM else "cool"
    share = min(limit.peak_percent, 100)
    pods = "" if limit.pods_until_limit is None else f"<small>{more_pods(limit.pods_until_limit)}</small>"
    title = f"{limit.name}: fullest now on {limit.worst_node or '?'}"
    return (
        f'<td class="{level}" data-sort="{limit.peak_percent}" title="{escape(title)}">'
        f'<span class="bar" style="width:{share}%"></span>{limit.peak_percent} % {pods}</td>'
    )


def _distribution(pools: Sequence[shape.Pool]) -> Iterator[str]:
    """How many nodes reached which tenth of a limit, for the limits that reached most."""
    ranked = sorted(
        ((limit, pool.name) for pool in pools for limit in pool.limits if sum(limit.spread) and limit.peak_percent),
        key=lambda row: (-(row[0].peak_percent or 0), row[0].name, row[1]),
    )[:_CHARTS_MAX]
    if not ranked:
        return
    yield "<section><h2>Distribution over nodes</h2>"
    yield '<p>Nodes by the tenth of a limit that their peak reached.</p><div class="charts">'
    for limit, pool in ranked:
        total = sum(limit.spread)
        words = f"{limit.name} in pool {pool}: the peak of {count(total)} nodes reached {limit.peak_percent} % at most"
        yield f'<figure role="img" aria-label="{escape(words)}">{_bars(limit.spread)}'
        yield f"<figcaption>{escape(limit.name)} · {escape(pool)}</figcaption></figure>"
    yield "</div></section>"


def _bars(spread: Sequence[int]) -> str:
    """Draw one chart. Its colours are those of the text around it."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra: only this page needs it
        from matplotlib.figure import Figure  # noqa: PLC0415
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415
    except ImportError:
        raise PageError("the charts of -o html need matplotlib: pip install 'sockaudit[report]'") from None
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sockaudit", "font.size": 9}):
        figure = Figure(figsize=(3.4, 1.7), layout="constrained")
        axes = figure.subplots()
        axes.bar(range(len(spread)), list(spread), color="#4c78a8", width=0.9)
        axes.set_xticks([0, 5, 10], ["0 %", "50 %", "100 %"])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.set_ylabel("nodes")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    return (
        svg[svg.index("<svg") :].replace("#000000", "currentColor").replace("stroke: #000000", "stroke: currentColor")
    )


def _section(title: str, names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    yield f'<section><h2>{escape(title)}</h2><div class="wide"><table class="sort"><thead><tr>'
    yield "".join(f'<th scope="col" aria-sort="none">{escape(name.capitalize())}</th>' for name in names)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield "<tr>" + "".join(_cell(value) for value in row) + "</tr>"
    yield "</tbody></table></div></section>"


def _cell(value: Cell) -> str:
    return f"<td>{escape(value)}</td>" if isinstance(value, str) else _figure(value)


def _figure(value: int | None) -> str:
    if value is None:
        return '<td class="figure unknown" data-sort="-1">?</td>'
    return f'<td class="figure" data-sort="{value}">{count(value)}</td>'
