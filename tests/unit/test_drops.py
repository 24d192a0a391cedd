"""Counters that should stand still."""

from samples import HOST_NETNS, netns, process, sample

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.model import Change, Finding, Severity
from auditor.remember import History, Rate


def seen(totals: list[int]) -> tuple[list[list[Finding]], list[Change]]:
    history, found, told = History(), [], []
    for turn, total in enumerate(totals):
        space = netns(HOST_NETNS, time_wait_buckets=99, time_wait_max=100, time_wait_overflows=total)
        usage = attribute(sample([process(1)], netns=(space,)), {})
        assessment, history = assess(usage, history, Policy(), 1000.0 + 30 * turn)
        found.append([one for one in assessment.findings if one.rule == "TimeWaitOverflow"])
        told += [event.change for event in assessment.events if event.finding.rule == "TimeWaitOverflow"]
    return found, told


def test_a_counter_that_moves_for_good_is_told_once_and_closed_once() -> None:
    found, told = seen([500, 500, 510, 520, 520, 530, 540, 540, 540, 540, 540])
    assert [len(some) for some in found] == [0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    assert told == [Change.OPENED, Change.CLOSED]
    (finding,) = found[6]
    assert (finding.severity, finding.limit, finding.used, finding.maximum) == (Severity.WARNING, "time-wait", 99, 100)
    assert finding.message == (
        "host closes connections without TIME_WAIT, 16/min for 2 min, for 99 of 100 buckets are taken; a late segment may "
        "then end up in a new connection"
    )
    assert "net.ipv4.tcp_max_tw_buckets=16384 on the host" in finding.remedy


def test_a_total_a_burst_and_a_reset_are_no_rate() -> None:
    for totals in ([900] * 6, [0, 900, 900, 900, 1800, 1800], [900, 901, 3, 4, 5, 5]):
        assert not any(seen(totals)[0])


def test_a_finding_of_an_earlier_life_waits_for_evidence() -> None:
    found, _ = seen([0, 1, 2, 3])
    history = History.restored(found[-1], {}, {})
    still = []
    for turn, total in enumerate([3, 3, 3, 3, 3]):
        space = netns(HOST_NETNS, time_wait_buckets=99, time_wait_max=100, time_wait_overflows=total)
        assessment, history = assess(
            attribute(sample([process(1)], netns=(space,)), {}), history, Policy(), 2000.0 + 30 * turn
        )
        still.append("TimeWaitOverflow" in {one.rule for one in assessment.findings})
    assert still == [True, True, True, False, False]


def test_a_rate_is_of_the_time_it_moved() -> None:
    rate = Rate(10, 0.0).observe(10, 30.0).observe(40, 60.0).observe(70, 90.0)
    assert (rate.since, rate.lost, rate.per_second, rate.sustained) == (30.0, 60, 1.0, False)
