"""Thresholds from a file: who they are for, what is refused, and what happens while a file is bad."""

import json
import os
from pathlib import Path

import pytest

from auditor.evaluate import LIMITS
from auditor.thresholds import ThresholdsError, Watched, read_thresholds

POOLS = """
- limits:
    process-fds: {warning: 70, critical: 90}
    pids: {warning: 60}
- nodeSelector: {pool: batch}
  limits: {pids: {warning: 90}}
"""


def test_the_last_entry_that_matches_a_node_wins(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text(POOLS)
    thresholds = read_thresholds(str(path))
    assert thresholds.of({}) == {"process-fds": (70, 90), "pids": (60, None)}
    assert thresholds.of({"pool": "web"}) == thresholds.of({})
    assert thresholds.of({"pool": "batch", "zone": "a"}) == {"process-fds": (70, 90), "pids": (90, None)}


def test_no_entries_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text("[]\n")
    assert read_thresholds(str(path)).of({}) == {}


def test_a_bad_file_leaves_the_last_good_one_in_force_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yaml"
    watched = Watched(str(path))
    assert watched.of({}) == {}
    assert watched.trouble == "No such file or directory"
    path.write_text("pids: {warning: 60}")
    assert watched.of({}) == {"pids": (60, None)}
    assert watched.trouble is None
    replacement = tmp_path / "new"
    replacement.write_text("pids: {warning: 600}")
    os.replace(replacement, path)
    assert watched.of({}) == {"pids": (60, None)}
    assert watched.trouble is not None
    assert "limits.pids.warning: Input should be less than or equal to 100" in watched.trouble
    path.write_text(POOLS)
    assert watched.of({"pool": "batch"})["pids"] == (90, None)
    assert watched.trouble is None
    path.unlink()
    assert watched.of({"pool": "batch"})["pids"] == (90, None)
    assert watched.trouble == "No such file or directory"


def test_without_a_file_the_tables_are_in_force() -> None:
    watched = Watched(None)
    assert (watched.of({}), watched.trouble) == ({}, None)


@pytest.mark.parametrize(
    "text", ["a", "[1]", "- limits: 3", "- {limits: {}, extra: 1}", "- {nodeSelector: {a: 1}, limits: {}}"]
)
def test_other_things_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text(text)
    with pytest.raises(ThresholdsError, match="holds no thresholds"):
        read_thresholds(str(path))


def test_the_chart_knows_the_same_limits() -> None:
    schema = json.loads((Path(__file__).parents[2] / "helm/sockaudit/values.schema.json").read_text())
    entry = schema["properties"]["thresholds"]["items"]["properties"]["limits"]
    assert sorted(entry["propertyNames"]["enum"]) == sorted(row.id for row in LIMITS)
