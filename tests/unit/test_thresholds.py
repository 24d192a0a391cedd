"""Thresholds from a file: who they are for, what is refused, and what happens while a file is bad."""

import json
import os
from pathlib import Path

import pytest
from samples import POD_A, in_pod, process, sample

from auditor.attribute import attribute
from auditor.evaluate import LIMITS, Policy, assess
from auditor.model import Owner, OwnerKind, OwnerUsage, PodIdentity
from auditor.remember import History
from auditor.thresholds import ThresholdsError, Watched, Wishes, read_thresholds

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
    assert thresholds.of({}) == {"process-fds": (70, 90), "pids": (60, 95)}
    assert thresholds.of({"pool": "web"}) == thresholds.of({})
    assert thresholds.of({"pool": "batch", "zone": "a"}) == {"process-fds": (70, 90), "pids": (90, 95)}


def test_no_entries_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_text("[]\n")
    assert read_thresholds(str(path)).of({}) == {}


def test_a_bad_file_leaves_the_last_good_one_in_force_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yaml"
    watched = Watched(str(path))
    assert watched.of({}) == {}
    assert watched.trouble == f"{path}: No such file or directory"
    path.write_text("pids: {warning: 60}")
    assert watched.of({}) == {"pids": (60, 95)}
    assert watched.trouble is None
    replacement = tmp_path / "new"
    replacement.write_text("pids: {warning: 600}")
    os.replace(replacement, path)
    assert watched.of({}) == {"pids": (60, 95)}
    assert watched.trouble is not None
    assert "limits.pids.warning: Input should be less than or equal to 100" in watched.trouble
    path.write_text(POOLS)
    assert watched.of({"pool": "batch"})["pids"] == (90, 95)
    assert watched.trouble is None
    path.unlink()
    assert watched.of({"pool": "batch"})["pids"] == (90, 95)
    assert watched.trouble == f"{path}: No such file or directory"


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


POD = Owner(OwnerKind.POD, POD_A)


def asked(**wishes: str) -> dict[str, PodIdentity]:
    return {POD_A: PodIdentity("shop", "cart-0", POD_A, wishes={key.replace("_", "-"): wishes[key] for key in wishes})}


def test_a_pod_asks_for_thresholds_of_its_own_limits_and_is_shown_what_is_in_force() -> None:
    wishes = Wishes()
    names = asked(process_fds="20/30")
    usage = attribute(sample([process(1), process(9, in_pod(POD_A), fds=250)]), names)
    policy = Policy({"process-fds": (80, 95)}, wishes.of(usage.owners))
    assert wishes.complaints == []
    _, history = assess(usage, History(), policy, 1000)
    assessment, _ = assess(usage, history, policy, 1030)
    assert [one.rule for one in assessment.findings if one.subject.owner == POD] == ["ProcessFDsHigh"]
    shown = {scope: both for (limit, scope), both in assessment.thresholds.items() if limit == "process-fds"}
    assert (20, 30) in shown.values()
    assert (80, 95) in shown.values(), "the others keep the operator's"


@pytest.mark.parametrize(
    ("limit", "text", "why"),
    [
        ("process-fds", "120", "less than or equal to 100"),
        ("process-fds", "90/80", "critical is below warning"),
        ("process-fds", "never", "'never' is neither a percentage nor two, as in 70/90"),
        ("file-handles", "99", "others share this pool, so only the chart sets its thresholds"),
        ("inotify-instances", "99", "others share this pool"),
        ("proces-fds", "99", "there is no such limit"),
    ],
)
def test_a_bad_annotation_is_told_and_the_last_good_one_stays(limit: str, text: str, why: str) -> None:
    wishes = Wishes()
    for good, expected in (("60", (60, 95)), ("97", (97, 97)), ("60/70", (60, 70))):
        assert wishes.of(owners(process_fds=good)) == {POD: {"process-fds": expected}}
    found = wishes.of(owners(**{"process_fds": "60/70", limit.replace("-", "_"): text}))
    assert found == {POD: {"process-fds": (60, 70)}}
    (complaint,) = wishes.complaints
    assert complaint.startswith(f"shop/cart-0: sockaudit.io/{limit}: ")
    assert why in complaint
    assert wishes.of(owners()) == {}
    assert wishes.complaints == []


def owners(**wishes: str) -> tuple[OwnerUsage, ...]:
    return attribute(sample([process(1), process(9, in_pod(POD_A))]), asked(**wishes)).owners
