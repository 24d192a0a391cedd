"""Queues that do not move."""

import pytest
from samples import POD_A, POD_B, in_pod, netns, process, sample

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.model import Finding, Peer, PodIdentity, Queueing, SocketGroup, TcpState
from auditor.remember import History

NAMES = {
    POD_A: PodIdentity("shop", "cart", POD_A, addresses=("10.0.0.7",)),
    POD_B: PodIdentity("db", "postgres", POD_B, addresses=("10.0.0.8",)),
}
PROCESSES = (process(10, in_pod(POD_A), netns=7), process(20, in_pod(POD_B), netns=8))


def found(queues: list[tuple[int, int]], history: History | None = None) -> tuple[list[list[Finding]], History]:
    history, some = history or History(), []
    for turn, (received, sent) in enumerate(queues):
        one = Queueing(7, 99, 40_000, Peer("10.0.0.8", 5432, 1), received, sent, (10,))
        seen = sample(PROCESSES, queueing=(one,) if received + sent else ())
        assessment, history = assess(attribute(seen, NAMES), history, Policy(), 1000.0 + 60 * turn)
        some.append([one for one in assessment.findings if one.rule == "SocketQueueStuck"])
    return some, history


def test_the_same_bytes_for_three_minutes_are_told_with_the_peer() -> None:
    some, _ = found([(50_000, 0)] * 5 + [(50_001, 0)])
    assert [len(one) for one in some] == [0, 0, 0, 1, 1, 0]
    assert some[4][0].message == (
        "shop/cart: 50,000 bytes that the program does not read stand in 1 socket of pid 10 app for 4 min, most of them from "
        "10.0.0.8:5432 (db/postgres)"
    )
    assert "deadlock" in some[4][0].remedy


def test_what_the_peer_does_not_take_is_said_so() -> None:
    (finding,) = found([(0, 90_000)] * 4)[0][-1]
    assert "90,000 bytes that the peer does not take" in finding.message
    assert " to 10.0.0.8:5432" in finding.message


def test_what_is_unread_and_what_is_unsent_are_told_apart() -> None:
    rows = (*PROCESSES, process(11, in_pod(POD_A), netns=7, command="java"))
    peer = Peer("10.0.0.8", 5432, 1)
    queues = (
        Queueing(7, 1, 40_000, peer, 128_512, 0, (10,)),
        Queueing(7, 2, 40_001, peer, 0, 3_782_144, (11,)),
        Queueing(7, 3, 40_002, peer, 0, 20_000, (10,)),
    )
    history = History()
    for turn in range(4):
        usage = attribute(sample(rows, queueing=queues), NAMES)
        assessment, history = assess(usage, history, Policy(), 1000.0 + 60 * turn)
    (finding,) = (one for one in assessment.findings if one.rule == "SocketQueueStuck")
    assert finding.message == (
        "shop/cart: 3,802,144 bytes that the peer does not take stand in 2 sockets of pid 11 java and others for 3 min, "
        "most of them to 10.0.0.8:5432 (db/postgres); 128,512 bytes that the program does not read stand in 1 socket of "
        "pid 10 app for 3 min, most of them from 10.0.0.8:5432 (db/postgres)"
    )
    assert "keep-alive" in finding.remedy
    assert "deadlock" in finding.remedy


def test_a_queue_that_moves_is_no_finding() -> None:
    assert not any(found([(50_000 + number % 2, 0) for number in range(9)])[0])


def test_a_restored_finding_waits_until_its_queue_moves_or_is_gone() -> None:
    some, _ = found([(50_000, 0)] * 4)
    again, _ = found([(50_000, 0), (50_000, 0), (10, 20_000), (0, 0)], History.restored(some[-1], {}, {}))
    assert [len(one) for one in again] == [1, 1, 0, 0]


def test_more_queues_than_there_is_room_for_leave_everyone_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.remember.stillness._QUEUES_MAX", 10)
    crowd = tuple(Queueing(7, 99 + number, 1, Peer("10.0.0.8", 1, 1), 50_000, 0, (10,)) for number in range(30))
    seen = sample(PROCESSES, queueing=(*crowd, Queueing(8, 5, 1, Peer("10.0.0.7", 1, 1), 50_000, 0, (20,))))
    history = found([(50_000, 0)] * 4)[1]
    for turn in range(5):
        assessment, history = assess(attribute(seen, NAMES), history, Policy(), 2000.0 + 60 * turn)
        some = [one for one in assessment.findings if one.rule == "SocketQueueStuck"]
    assert [one.message.partition(":")[0] for one in some] == ["shop/cart", "db/postgres"]


def test_a_queue_that_is_not_followed_neither_opens_nor_closes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.remember.stillness._QUEUES_MAX", 1)
    open_before = found([(50_000, 0)] * 4)[0][-1]
    other = Queueing(8, 5, 1, Peer("10.0.0.7", 1, 1), 50_000, 0, (20,))
    seen = sample(PROCESSES, queueing=(other, Queueing(7, 99, 40_000, Peer("10.0.0.8", 5432, 1), 50_000, 0, (10,))))
    assessment, _ = assess(attribute(seen, NAMES), History.restored(open_before, {}, {}), Policy(), 9000.0)
    assert [one.id for one in assessment.findings if one.rule == "SocketQueueStuck"] == [one.id for one in open_before]


def test_what_is_about_single_sockets_stays_open_while_they_cannot_be_listed() -> None:
    (told,), history = found([(50_000, 0)] * 4)[0][-1:], found([(50_000, 0)] * 4)[1]
    unlisted = sample(PROCESSES, netns=(netns(7, dumped=False), netns(8)))
    for turn in range(3):
        assessment, history = assess(attribute(unlisted, NAMES), history, Policy(), 1300.0 + 60 * turn)
        assert [one for one in assessment.findings if one.rule == "SocketQueueStuck"] == told
        assert not assessment.events
    assert not found([(0, 0)], history)[0][-1], "listed again, and nothing is queued"
    by_descriptor = sample(PROCESSES, netns=(netns(7, dumped=False), netns(8)), source="bpf")
    assessment, _ = assess(attribute(by_descriptor, NAMES), history, Policy(), 1600.0)
    assert "SocketQueueStuck" not in {one.rule for one in assessment.findings}
    unsaid_whose = [SocketGroup(7, "tcp", TcpState.ESTABLISHED, None, 1)]
    tables = (process(10, in_pod(POD_A), netns=7, kinds=None), process(11, in_pod(POD_B), netns=7, kinds=None))
    usage = attribute(sample(tables, unsaid_whose), NAMES)
    assert [row.sockets.tcp for row in usage.owners if row.sockets] == [None, None]
    assessment, _ = assess(usage, history, Policy(), 1600.0)
    assert "SocketQueueStuck" not in {one.rule for one in assessment.findings}, "every socket was looked at"
