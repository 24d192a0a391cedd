"""`sockaudit report`: reads files or the cluster, and writes the report."""

import json
import os
import sys
import time
from collections.abc import Sequence

from auditor.kube.access import Access
from auditor.model import CommandError
from auditor.model.words import bounded, clean
from auditor.publish.console import new_console
from auditor.report import page, screen, text
from auditor.report import prometheus as history
from auditor.report.charts import PageError
from auditor.report.files import STDIN, FileError, objects, shown
from auditor.report.fleet import build
from auditor.report.observation import Malformed, NodeRecord, record
from auditor.report.shape import Report, plain
from auditor.report.window import Window, window

_REFUSED_MAX = 20
_COLUMNS = 140  # in a pipe


class ReportError(CommandError):
    """There is nothing to report from. The text is one line for a person, with what to do."""


def run(  # noqa: PLR0913 - what the command line says
    *,
    files: Sequence[str],
    since: str | None,
    output: str,
    by: str | None,
    headroom: int,
    access: Access,
    prometheus: str | None = None,
    days: int = 30,
) -> None:
    """Write the report to stdout.

    Args:
        files: saved lists, `-` for stdin; empty: ask the cluster.
        since: an earlier list to compare with.
        output: table, json, csv, markdown or html.
        by: key of the label that names a node's pool.
        headroom: percent that should be left of each limit.
        access: to the cluster.
        prometheus: URL of one that scrapes the agents, for peaks further back.
        days: how far.

    Raises:
        ReportError: a file cannot be read, or no cluster answers.
    """
    try:
        earlier = _of_files([since]) if since else None
        if files:
            found, sources = _of_files(files), [_name(file) for file in files]
        else:
            from auditor.report import cluster  # noqa: PLC0415 - files need no client

            found, server = cluster.read(access)
            sources = [server]
        if prometheus:
            answer, reporting = history.ask(prometheus, days), [one.name for one in found.reporting]
            found.raise_peaks(answer.peaks)
            found.notes += history.notes(answer, reporting)
            if not answer.nodes.isdisjoint(reporting):
                sources.append(f"{prometheus} ({days} days)")
    except FileError as error:
        raise ReportError(str(error)) from None
    report = build(
        found,
        generated_at=time.time(),
        sources=[bounded(clean(source), 253) for source in sources],
        by=by,
        headroom=headroom,
        since=earlier,
    )
    try:
        write(report, output)
    except PageError as error:
        raise ReportError(str(error)) from None


def write(report: Report, output: str) -> None:
    """Write a report to stdout."""
    if output == "json":
        json.dump(plain(report), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    elif output == "csv":
        sys.stdout.write(text.comma_separated(report))
    elif output == "markdown":
        sys.stdout.write(text.markdown(report))
    elif output == "html":
        sys.stdout.write(page.write(report))
    else:
        screen.render(report, new_console(_COLUMNS))


def _of_files(files: Sequence[str]) -> Window:
    batches, refused = [], []
    for file in files:
        batch: list[NodeRecord] = []
        wrong = []
        for number, document in enumerate(objects(file), 1):
            try:
                batch.append(record(document))
            except Malformed as error:
                wrong.append(f"item {number} of {_name(file)}: {error}")
        if wrong and not batch:
            raise FileError(
                f"{shown(file)} holds no SockAudit ({wrong[0]}). Save some with kubectl get sockaudits -o json."
            )
        batches.append(batch)
        refused += wrong
    more = len(refused) - _REFUSED_MAX
    if more > 0:
        refused[_REFUSED_MAX:] = [f"{more} more"]
    return window(batches, refused=refused)


def _name(file: str) -> str:
    return shown(file if file == STDIN else os.path.basename(file))
