"""Counters that should stand still."""

import pytest
from samples import HOST_NETNS, POD_A, POD_B, in_pod, netns, process, sample

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.model import Change, Dropping, Finding, Listener, NodeSample, PodIdentity, Severity
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
    assert "sysctl -w net.ipv4.tcp_max_tw_buckets=16384 (on the host;" in finding.remedy


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


NAMES = {POD_A: PodIdentity("shop", "cart", POD_A), POD_B: PodIdentity("dns", "coredns", POD_B)}
PODS = (process(10, in_pod(POD_A), netns=7), process(20, in_pod(POD_B), netns=8), process(21, in_pod(POD_B), netns=9))


def over(samples: list[NodeSample]) -> list[Finding]:
    history, found = History(), []
    for turn, one in enumerate(samples):
        assessment, history = assess(attribute(one, NAMES), history, Policy(), 1000.0 + 60 * turn)
        found = [one for one in assessment.findings if one.rule in {"UDPReceiveDrops", "ListenQueueFull"}]
    return found


def test_udp_sockets_of_one_owner_that_share_an_address_are_one() -> None:
    def dropping(turn: int) -> tuple[Dropping, ...]:
        return tuple(Dropping(8, "0.0.0.0", 53, (20,), 100 + turn * each) for each in (60, 30, 0))

    (finding,) = over([sample(PODS, dropping=dropping(turn)) for turn in range(5)])
    assert finding.message.startswith("dns/coredns drops datagrams to 0.0.0.0:53, 90/min for 4 min: ")


def test_listeners_of_one_owner_at_one_address_in_several_namespaces_are_one() -> None:
    def listening(turn: int) -> tuple[Listener, ...]:
        rows = ((8, 20, 2, 60), (9, 21, 9, 30))
        return tuple(Listener(netns, "tcp", "::", 80, (pid,), q, 9, drops=each * turn) for netns, pid, q, each in rows)

    (finding,) = over([sample(PODS, listeners=listening(turn)) for turn in range(6)])
    assert finding.message.startswith("dns/coredns drops connections to [::]:80, 90/min for 4 min: 9 of 10 wait")


def test_one_owner_with_very_many_counters_leaves_the_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.remember.history._RATES_MAX", 50)
    crowd = tuple(Dropping(7, "0.0.0.0", port, (10,), 1) for port in range(1, 200))

    def seen(turn: int) -> NodeSample:
        many = tuple(one._replace(drops=1 + turn) for one in crowd)
        late = (Dropping(8, "0.0.0.0", 53, (20,), 9 * turn),) if turn > 2 else ()
        return sample(PODS, dropping=(*many, *late))

    found = over([seen(turn) for turn in range(7)])
    assert len(found) == 50
    assert "dns/coredns 0.0.0.0:53" in {one.scope for one in found}


def test_counters_that_are_read_no_more_make_room_for_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.remember.history._RATES_MAX", 50)
    gone = tuple(Dropping(7, "0.0.0.0", port, (10,), 1) for port in range(1, 51))
    alive = [tuple(one._replace(port=one.port + 100, drops=turn) for one in gone) for turn in range(6)]
    assert len(over([sample(PODS, dropping=some) for some in (gone, *alive)])) == 50


def test_what_drops_datagrams_stays_open_while_udp_cannot_be_listed() -> None:
    rows = [sample(PODS, dropping=(Dropping(8, "0.0.0.0", 53, (20,), 90 * turn),)) for turn in range(5)]
    (told,) = over(rows)
    unlisted = sample(PODS, netns=(netns(7), netns(8, dumped=False), netns(9)))
    assert over([*rows, unlisted, unlisted]) == [told]
    assert over([*rows, *[sample(PODS)] * 2]) == []
