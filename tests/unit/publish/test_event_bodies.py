import re
from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publish.audits import HOSTILE, crowded, troubled
from samples import POD_A

from auditor.model import Change, Event, Finding, Owner, OwnerKind, PodIdentity, Severity, Subject
from auditor.publish.events import (
    PENDING_MAX,
    PER_WINDOW,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    WINDOW_SECONDS,
    Message,
    Outbox,
    event_name,
    message,
)

ON_NODE, ON_POD = sorted(troubled()[2].findings, key=lambda one: one.subject.owner is not None)
DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def body(finding: Finding, change: Change = Change.OPENED, node: str = "node-a") -> Any:
    return message(Event(1_800_000_000.25, change, finding), node).body


def test_what_is_a_pods_own_is_said_on_the_pod() -> None:
    one = body(ON_POD)
    assert one["metadata"]["namespace"] == "shop"
    assert one["regarding"] == {
        "apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "cart-7c9", "uid": POD_A,
    }  # fmt: skip
    assert (one["type"], one["reason"], one["action"]) == ("Warning", "ProcessFDsHigh", "Opened")
    assert one["eventTime"] == "2027-01-15T08:00:00.250000Z"
    assert one["note"].startswith("shop/cart-7c9 (app, pid 4123 java) holds 960 of 1,000 file descriptors (96 %)")
    assert (one["reportingController"], one["reportingInstance"]) == ("sockaudit.io/agent", "node-a")


def test_a_pool_is_said_on_the_node_where_describe_finds_it() -> None:
    one = body(ON_NODE)
    assert one["metadata"]["namespace"] == "default"
    assert one["regarding"] == {"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "node-a"}


def test_a_static_pod_goes_by_its_config_hash() -> None:
    owner = Owner(OwnerKind.POD, "9c" * 16)
    subject = Subject(owner, PodIdentity("kube-system", "etcd-node-a", "the-mirror-pods-uid"))
    assert body(replace(ON_POD, subject=subject))["regarding"]["uid"] == "9c" * 16


def test_a_pod_without_a_name_is_said_on_the_node() -> None:
    nameless = replace(ON_POD, subject=replace(ON_POD.subject, identity=None))
    assert body(nameless)["regarding"]["kind"] == "Node"


def test_the_end_is_normal() -> None:
    one = body(ON_POD, Change.CLOSED)
    assert (one["type"], one["action"]) == ("Normal", "Closed")


def test_names_are_the_same_for_the_same_change_and_differ_otherwise() -> None:
    assert event_name(ON_POD, Change.OPENED) == event_name(replace(ON_POD, used=1, message="x"), Change.OPENED)
    names = [
        event_name(ON_POD, Change.OPENED),
        event_name(ON_POD, Change.CLOSED),
        event_name(ON_POD, Change.WORSENED),
        event_name(ON_NODE, Change.OPENED),
        event_name(replace(ON_POD, since=ON_POD.since + 1), Change.OPENED),
        event_name(replace(ON_POD, severity=Severity.WARNING), Change.OPENED),
    ]
    assert len(set(names)) == len(names)


@given(st.text(max_size=400), st.text(max_size=3000), st.text(max_size=300))
def test_every_field_is_bounded_whatever_comes(identifier: str, text: str, node: str) -> None:
    finding = replace(ON_POD, id=identifier, message=text, remedy=text)
    one = body(finding, node=node)
    assert len(one["metadata"]["name"]) <= 253
    assert DNS_SUBDOMAIN.fullmatch(one["metadata"]["name"])
    assert len(one["note"].encode()) <= 1024
    assert len(one["reportingInstance"].encode()) <= 128
    assert not set(map(chr, range(32))) & set(one["note"])


def test_hostile_names_reach_no_note() -> None:
    (finding,) = crowded(1, HOSTILE)[2].findings
    assert not {"\x1b", "\n", "\u202e", "\udcff"} & set(body(finding)["note"])


def drain(outbox: Outbox, now: float) -> list[Message]:
    sent = []
    while one := outbox.next(now):
        sent.append(one)
        outbox.sent(now)
    return sent


def opened(number: int) -> list[Event]:
    return [Event(0.0, Change.OPENED, replace(ON_POD, id=f"rule/{one}")) for one in range(number)]


def test_ten_in_five_minutes_and_the_rest_later() -> None:
    outbox = Outbox("node-a")
    events = opened(25)
    assert outbox.add(events, [event.finding for event in events], 0.0) == 0
    names = [[one.name for one in drain(outbox, now)] for now in (0.0, WINDOW_SECONDS - 1, WINDOW_SECONDS, 900.0)]
    assert [len(some) for some in names] == [PER_WINDOW, 0, PER_WINDOW, 5]
    assert list(chain(*names)) == [event_name(event.finding, Change.OPENED) for event in events]


def test_what_waits_is_bounded_and_the_loss_is_counted() -> None:
    outbox = Outbox("node-a")
    events = opened(PENDING_MAX + 7)
    assert outbox.add(events, [event.finding for event in events], 0.0) == 7


def test_what_was_not_taken_comes_again() -> None:
    outbox = Outbox("node-a")
    outbox.add(opened(1), [opened(1)[0].finding], 0.0)
    assert outbox.next(0.0) == outbox.next(1.0)
    outbox.sent(1.0)
    assert outbox.next(1.0) is None


def test_what_was_refused_lets_the_others_pass_and_comes_again_a_few_times() -> None:
    outbox = Outbox("node-a")
    events = opened(2)
    outbox.add(events, [event.finding for event in events], 0.0)
    first = outbox.next(0.0)
    assert not outbox.refused(0.0)
    (other,) = drain(outbox, 0.0)
    assert first != other
    now = 0.0
    for pause in RETRY_SECONDS:
        assert outbox.next(now + pause - 1) is None
        now += pause
        assert outbox.next(now) == first
        given_up = outbox.refused(now)
    assert given_up
    assert outbox.next(now + 300) is None


def test_an_open_finding_is_refreshed_as_a_series() -> None:
    outbox = Outbox("node-a")
    (event,) = opened(1)
    outbox.add([event], [event.finding], 0.0)
    (first,) = drain(outbox, 0.0)
    outbox.add([], [event.finding], REFRESH_SECONDS - 1)
    assert not drain(outbox, REFRESH_SECONDS - 1)
    for turn in (1, 2):
        now = float(turn * REFRESH_SECONDS)
        outbox.add([], [event.finding], now)
        (again,) = drain(outbox, now)
        assert (again.name, again.namespace, again.count) == (first.name, first.namespace, turn + 1)
        assert again.series() == {"series": {"count": turn + 1, "lastObservedTime": again.body["eventTime"]}}
    outbox.add([Event(now, Change.CLOSED, event.finding)], [], now)
    assert [one.body["type"] for one in drain(outbox, now)] == ["Normal"]
    outbox.add([], [], now * 2)
    assert not drain(outbox, now * 2)


def test_what_changes_is_never_behind_refreshes() -> None:
    outbox = Outbox("node-a")
    events = opened(100)
    findings = [event.finding for event in events]
    outbox.restore(findings, 0.0)
    refreshed = Counter[str]()
    news = Event(0.0, Change.OPENED, replace(ON_POD, id="new"))
    for turn in range(400):
        now = REFRESH_SECONDS + 30.0 * turn
        changed = [news] if turn == 333 else []
        assert outbox.add(changed, [*findings, news.finding], now) == 0
        found = [one.name for one in drain(outbox, now)]
        assert (event_name(news.finding, Change.OPENED) in found) == bool(changed), "in its own turn"
        refreshed.update(found)
    assert len(refreshed) == 101, "each in its turn"
    assert max(refreshed.values()) <= 2


def test_a_restored_finding_is_refreshed_not_repeated() -> None:
    outbox = Outbox("node-a")
    outbox.restore([ON_POD], 0.0)
    outbox.add([], [ON_POD], 30.0)
    assert not drain(outbox, 30.0)
    outbox.add([], [ON_POD], REFRESH_SECONDS)
    (again,) = drain(outbox, REFRESH_SECONDS)
    assert (again.count, again.name) == (2, event_name(ON_POD, Change.OPENED))


@pytest.mark.parametrize("change", list(Change))
def test_a_body_has_what_the_api_requires(change: Change) -> None:
    one = body(ON_POD, change)
    for key in ("eventTime", "reportingController", "reportingInstance", "action", "reason", "type", "regarding"):
        assert one[key]
