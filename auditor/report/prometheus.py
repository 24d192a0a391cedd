"""Longer history: what a Prometheus that scrapes the agents remembers of each limit."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3

from auditor.model.words import bounded, clean
from auditor.report import fields
from auditor.report.files import FileError
from auditor.report.window import Key

_SECONDS = 60.0  # a month of a large fleet takes its time
_LARGEST_REPLY = 256 << 20
_WORDS_MAX = 300


def peaks(url: str, days: int) -> Iterator[tuple[Key, int]]:
    """Yield the most that each limit of each node had in use: (node, limit, scope), figure.

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
    yield from _parsed(data, response.status, shown)


def _parsed(data: bytes, status: int, shown: str) -> Iterator[tuple[Key, int]]:
    try:
        document = json.loads(data)
        if document["status"] != "success":
            raise FileError(f"Prometheus at {shown} refuses: {bounded(clean(str(document.get('error'))), _WORDS_MAX)}.")
        rows = document["data"]["result"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FileError(f"what answers at {shown} is no Prometheus (HTTP {status}).") from None
    for row in rows if isinstance(rows, list) else ():
        found = _row(row)
        if found:
            yield found


def _row(row: Any) -> tuple[Key, int] | None:  # noqa: ANN401 - JSON of a stranger
    """A scrape configuration that names the node itself moves the agent's own label to `exported_node`."""
    try:
        labels, value = row["metric"], float(row["value"][1])
        node = labels.get("exported_node") or labels["node"]
        return (fields.name(node), fields.name(labels["limit"]), fields.text(labels["scope"])), int(value)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError):
        return None
