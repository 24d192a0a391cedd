"""Longer history: what a Prometheus that scrapes the agents remembers of each limit."""

import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import urllib3

from auditor.model.words import bounded, clean, count
from auditor.report import fields
from auditor.report.files import FileError
from auditor.report.window import Key, named

_SECONDS = 60.0  # a month of a large fleet takes its time
_LARGEST_REPLY = 256 << 20
_WORDS_MAX = 300
_WARNINGS_MAX = 5


class Answer(NamedTuple):
    """What Prometheus remembers.

    Attributes:
        peaks: the most that each limit of each node had in use: (node, limit, scope), figure.
        unread: rows that do not say it.
        warnings: its own, such as Thanos has of stores that it does not reach.
    """

    peaks: list[tuple[Key, int]]
    unread: int
    warnings: list[str]

    @property
    def nodes(self) -> set[str]:
        """Names of the nodes that it remembers."""
        return {node for (node, _, _), _ in self.peaks}


def ask(url: str, days: int) -> Answer:
    """Ask for the peaks.

    Args:
        url: of Prometheus, or of anything that answers its HTTP API (prometheus.io/docs/prometheus/latest/querying/api).
        days: how far back.

    Raises:
        FileError: no Prometheus answers there, or it refuses.
    """
    shown = bounded(clean(url), _WORDS_MAX)
    if urlsplit(url).scheme not in ("http", "https"):
        raise FileError(f"{shown} is no URL of Prometheus, such as http://prometheus.monitoring:9090.")
    query = quote(f"max_over_time(sockaudit_limit_used[{days}d])", safe="")
    try:
        with urllib3.PoolManager() as pool:
            response = pool.request(
                "GET",
                f"{url.rstrip('/')}/api/v1/query?query={query}",
                timeout=urllib3.Timeout(connect=3.0, read=_SECONDS),
                retries=False,
                preload_content=False,
            )
            data = response.read(_LARGEST_REPLY + 1)
            response.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise FileError(f"no Prometheus answers at {shown} ({bounded(clean(str(error)), _WORDS_MAX)}).") from None
    return _parsed(data, response.status, shown)


def notes(answer: Answer, reporting: Collection[str]) -> Iterator[str]:
    """Yield what it leaves open of the nodes that report, and what of it counts for none of them."""
    known = answer.nodes
    silent = [name for name in reporting if name not in known]
    if silent:
        whom = "any node that reports" if len(silent) == len(reporting) else named(silent)
        yield (
            f"Prometheus has no peak of {whom}, so only those of the objects count: see that it scrapes the agents and keeps "
            "their label node"
        )
    others = sorted(known.difference(reporting))
    if others:
        yield f"peaks that Prometheus has of nodes that do not report are in no figure: {named(others)}"
    if answer.unread:
        yield (
            f"{count(answer.unread)} of {count(answer.unread + len(answer.peaks))} rows of Prometheus lack a node, a limit, "
            "a scope or a figure and are left out: see how its scrape configuration relabels those of the agents"
        )
    for warning in answer.warnings[:_WARNINGS_MAX]:
        yield f"Prometheus warns, and peaks may be too low until that is mended: {warning}"
    more = len(answer.warnings) - _WARNINGS_MAX
    if more > 0:
        yield f"{count(more)} more warnings of Prometheus"


def _parsed(data: bytes, status: int, shown: str) -> Answer:
    try:
        document = json.loads(data)
        if document["status"] != "success":
            raise FileError(f"Prometheus at {shown} refuses: {bounded(clean(str(document.get('error'))), _WORDS_MAX)}.")
        rows = document["data"]["result"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FileError(f"what answers at {shown} is no Prometheus (HTTP {status}).") from None
    rows = rows if isinstance(rows, list) else []
    found = [one for one in map(_row, rows) if one]
    warnings = document.get("warnings")
    said = (bounded(clean(str(one)), _WORDS_MAX) for one in warnings) if isinstance(warnings, list) else ()
    return Answer(found, len(rows) - len(found), list(dict.fromkeys(said)))


def _row(row: Any) -> tuple[Key, int] | None:  # noqa: ANN401 - JSON of a stranger
    """A scrape configuration that names the node itself moves the agent's own label to `exported_node`."""
    try:
        labels, value = row["metric"], int(float(row["value"][1]))
        node = fields.name(labels.get("exported_node") or labels["node"])
        key = node, fields.name(labels["limit"]), fields.text(labels["scope"])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError):
        return None
    return (key, value) if all(key) else None
