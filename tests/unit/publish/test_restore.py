import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publish.audits import judged, quiet, status, troubled
from samples import POD_A

from auditor.model import Change, Gap, Owner, OwnerKind
from auditor.publish.events import event_name
from auditor.publish.object import plain
from auditor.publish.restore import Restored, restore
from auditor.remember import History

WHOLE: dict[str, Any] = plain(status(troubled()))


def test_findings_survive_a_restart() -> None:
    audit = troubled()
    restored = restore(WHOLE)
    assert restored.dropped == 0
    for before, after in zip(audit[2].findings, restored.findings, strict=True):
        kept = ("id", "rule", "severity", "since", "limit", "scope", "used", "maximum", "message", "remedy")
        assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
        assert after.subject.owner == before.subject.owner
        assert after.subject.container == before.subject.container
        assert event_name(after, Change.CLOSED) == event_name(before, Change.CLOSED)


def test_peaks_survive_a_restart() -> None:
    assessment = troubled()[2]
    restored = restore(WHOLE)
    assert restored.fds_peaks[Owner(OwnerKind.POD, POD_A)].value == 960
    for key, peak in restored.peaks.items():
        assert peak == assessment.peaks[key]
    assert ("inotify-instances", "user 0") in restored.peaks


def test_a_restarted_agent_repeats_nothing() -> None:
    audit = troubled()
    restored = restore(WHOLE)
    history = History.restored(restored.findings, restored.peaks, restored.fds_peaks)
    again, _ = judged(replace(audit[0], at=audit[0].at + 30), history=history)
    assert not again[2].events
    assert [one.since for one in again[2].findings] == [one.since for one in audit[2].findings]


def test_conditions_go_on() -> None:
    assert list(restore(WHOLE).conditions) == WHOLE["conditions"]


@pytest.mark.parametrize("status", [None, 5, "x", [], {}, {"findings": None, "limits": {}, "pods": "x"}])
def test_nothing_to_restore(status: object) -> None:
    assert restore(status) == Restored()


def test_bad_parts_are_dropped_and_counted_and_the_good_ones_kept() -> None:
    broken = copy.deepcopy(WHOLE)
    broken["findings"][0]["since"] = "yesterday"
    broken["limits"].append({"name": "x"})
    broken["pods"].append(5)
    broken["pods"].append({"uid": "u", "fdsPeak": -1})
    broken["conditions"].append({"type": "Audited", "status": "Maybe"})
    broken["fromTheFuture"] = broken["findings"][1]["fromTheFuture"] = {"a": [1]}
    restored = restore(broken)
    assert restored.dropped == 5
    assert len(restored.findings) == len(WHOLE["findings"]) - 1
    assert len(restored.peaks) == len(restore(WHOLE).peaks)


@pytest.mark.parametrize("rule", ["", "Two Words", "FDLeak\n", "ä", "x" * 129, "-"])
def test_a_rule_that_could_be_no_reason_is_dropped(rule: str) -> None:
    broken = copy.deepcopy(WHOLE)
    broken["findings"][0]["rule"] = rule
    restored = restore(broken)
    assert restored.dropped == 1
    seen = replace(troubled()[0], gaps=(Gap("blind", "for a moment", None, frozenset({"inotify-instances"})),))
    audit, _ = judged(replace(seen, budgets=()), history=History.restored(restored.findings, {}, {}))
    assert status(audit).verdict != "OK"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
ROWS = [(section, number) for section in ("findings", "limits", "pods", "conditions") for number in range(2)]


@given(st.sampled_from(ROWS), st.data(), JSON)
def test_no_content_makes_it_fail(row: tuple[str, int], data: st.DataObject, value: object) -> None:
    section, number = row
    hostile = copy.deepcopy(WHOLE)
    key = data.draw(st.sampled_from(sorted(hostile[section][number])))
    hostile[section][number][key] = value
    restored = restore(hostile)
    assert restored.dropped <= 1
    History.restored(restored.findings, restored.peaks, restored.fds_peaks)
    for finding in restored.findings:
        assert event_name(finding, Change.CLOSED)
    status(quiet(), previous=restored.conditions)


@given(st.dictionaries(st.sampled_from(["findings", "limits", "pods", "conditions", "observedAt"]), JSON))
def test_no_shape_makes_it_fail(hostile: dict[str, object]) -> None:
    assert not restore(hostile).findings
