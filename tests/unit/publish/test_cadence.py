import random
from collections import Counter
from collections.abc import Callable

import pytest
from publish.audits import crowded, quiet, status, troubled

from auditor.publish.cadence import FLOOR_SECONDS, HEARTBEAT_SECONDS, Written, changed, due, essence, heartbeat, resync
from auditor.publish.object import Status

Change = Callable[[Status], Status]


def percent(value: int) -> Change:
    def change(one: Status) -> Status:
        first = one.limits[0].model_copy(update={"percent": value})
        return one.model_copy(update={"limits": [first, *one.limits[1:]]})

    return change


def flipped(one: Status) -> Status:
    first = one.conditions[0].model_copy(update={"status": "False"})
    return one.model_copy(update={"conditions": [first, *one.conditions[1:]]})


def eased(one: Status) -> Status:
    first = one.findings[0].model_copy(update={"severity": "Warning"})
    return one.model_copy(update={"findings": [first, *one.findings[1:]]})


def other_source(one: Status) -> Status:
    return one.model_copy(update={"coverage": one.coverage.model_copy(update={"source": "bpf"})})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda one: one, False),
        (lambda one: one.model_copy(update={"observed_at": "2030-01-01T00:00:00Z"}), False),
        (lambda one: one.model_copy(update={"pods": []}), False),
        (lambda one: one.model_copy(update={"verdict": "Warning"}), True),
        (lambda one: one.model_copy(update={"findings": one.findings[1:]}), True),
        (eased, True),
        (flipped, True),
        (other_source, True),
        (percent(99), False),
        (percent(90), False),
        (percent(89), True),
        (percent(100), True),
    ],
)
def test_what_is_worth_a_write(change: Change, expected: bool) -> None:  # noqa: FBT001 - a table
    before = status(troubled())
    written = Written(1000.0, essence(before))
    assert changed(written, change(before), 1000.0 + FLOOR_SECONDS) is expected
    assert not changed(written, change(before), 1000.0 + FLOOR_SECONDS - 1)


def test_nothing_written_yet_is_written_at_once() -> None:
    assert resync(None)
    assert due(None, status(quiet()), "node-a", 0.0)
    assert not changed(None, status(quiet()), 0.0)
    assert not heartbeat(None, "node-a", 1e9)


def test_a_sign_of_life_every_five_minutes_spread_over_the_fleet() -> None:
    one = status(quiet())
    written = Written(0.0, essence(one))
    first = {}
    for number in range(200):
        name = f"node-{number}"
        first[name] = next(second for second in range(1000) if due(written, one, name, second))
        assert first[name] == next(second for second in range(1000) if due(written, one, name, second))
    assert min(first.values()) >= HEARTBEAT_SECONDS * 0.9
    assert max(first.values()) <= HEARTBEAT_SECONDS * 1.1 + 1
    assert len(set(first.values())) > 30


def test_a_flapping_node_writes_no_more_than_twice_a_minute() -> None:
    calm, bad = status(quiet()), status(crowded(3))
    written, writes = None, 0
    for second in range(0, 600, 5):
        now = bad if second % 10 else calm
        if due(written, now, "node-a", float(second)):
            written, writes = Written(float(second), essence(now)), writes + 1
    assert 2 < writes <= 20


def test_five_thousand_quiet_nodes_write_less_than_twenty_times_a_second() -> None:
    """Agents that start within a minute, as after helm install, and sweep every 30 s; over two hours."""
    chance = random.Random(5)
    writes: Counter[int] = Counter()
    for number in range(5_000):
        node, now = f"node-{number:05}", chance.uniform(0, 60)
        written = Written(now, (), first=True)
        while now < 7200:
            now += 30
            if heartbeat(written, node, now):
                written = Written(now, ())
                writes[int(now)] += 1
    later = [writes[second] for second in range(600, 7200)]
    assert sum(later) / len(later) < 20
    assert max(sum(later[begin : begin + 60]) for begin in range(0, len(later) - 60, 60)) / 60 < 25, "in any minute"
