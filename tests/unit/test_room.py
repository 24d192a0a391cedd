"""Room that is shared out, and a crowd that may not take the others'."""

import pytest

from auditor.model import Owner, OwnerKind, Reading, Subject
from auditor.remember import History
from auditor.remember.room import share_out

MANY, FEW = Owner(OwnerKind.POD, "many"), Owner(OwnerKind.POD, "few")


def test_everyones_first_comes_before_anyones_second_and_what_is_known_before_what_is_new() -> None:
    crowd = [(f"m{number}", MANY) for number in range(6)]
    assert share_out([*crowd, ("f0", FEW), ("f1", FEW)], (), 5) == {"m0", "m1", "m2", "f0", "f1"}
    assert share_out([*crowd, ("f0", FEW)], {"m4", "m5"}, 3) == {"m4", "m5", "f0"}
    assert share_out(crowd, (), 6) == dict(crowd).keys()
    assert share_out([*crowd, ("node", None)], (), 2) == {"m0", "node"}


def test_growth_of_one_is_followed_beside_a_crowd_and_what_is_gone_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.remember.history._SERIES_MAX", 5)
    crowd = [Reading("x", f"m{number}", "", 7, 100, Subject(MANY)) for number in range(9)]
    one = Reading("x", "f", "", 7, 100, Subject(FEW))
    history = History().follow(crowd, 0.0).follow([*crowd, one], 30.0)
    assert history.series.keys() == {"x/m0", "x/m1", "x/m2", "x/m3", "x/f"}
    assert history.follow([one], 60.0).series.keys() == history.series.keys(), "there is room"
    fresh = [Reading("x", f"n{number}", "", 7, 100, Subject(FEW)) for number in range(3)]
    assert {"x/n0", "x/n1", "x/n2", "x/f"} < history.follow([one, *fresh], 60.0).series.keys()
