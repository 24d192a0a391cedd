"""How the nodes of a pool are spread over a limit, as SVG by matplotlib, whose text stays text."""

import io
from collections.abc import Iterator, Sequence
from html import escape

from auditor.model.words import count
from auditor.report import shape
from auditor.report.heat import level

_CHARTS_MAX = 6
_COOL, _WARM, _HOT = "#4c78a8", "#d08c1d", "#c9483f"  # readable on white and on black
_COLORS = (*(_COOL,) * 7, *(_WARM,) * 2, *(_HOT,) * 2)
"""By tenth of a limit, as the heat map has them."""


class PageError(Exception):
    """The page cannot be made. The text is one line for a person, with what to do."""


def charts(pools: Sequence[shape.Pool]) -> Iterator[str]:
    """Draw how many nodes reached which tenth of a limit, for the limits that are nearest their end.

    Raises:
        PageError: the charting library is not installed.
    """
    ranked = sorted(
        ((limit, pool.name) for pool in pools for limit in pool.limits if sum(limit.spread) and limit.peak_percent),
        key=lambda one: (-level(one[0]), -(one[0].peak_percent or 0), one[0].name, one[1]),
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
    """Draw one chart. Its lines and words are of the colour of the text around it."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra: only this page needs it
        from matplotlib.figure import Figure  # noqa: PLC0415
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415
    except ImportError:
        raise PageError("the charts of -o html need matplotlib: pip install 'sockaudit[report]'") from None
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sockaudit", "font.size": 9}):
        figure = Figure(figsize=(3.4, 1.7), layout="constrained")
        axes = figure.subplots()
        axes.bar(range(len(spread)), list(spread), color=_COLORS, width=0.9, align="edge")
        axes.set_xlim(0, len(spread))
        axes.set_xticks([0, 5, 10], ["0 %", "50 %", "100 %"])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.set_ylabel("nodes")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    return svg[svg.index("<svg") :].replace("#000000", "currentColor")
