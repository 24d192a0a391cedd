"""What the agent does to the cluster, and what it does without one."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from kube.fake_api import FakeApi, Fault, refusal
from publish.audits import judged, status, troubled
from samples import POD_A, in_pod, process, sample

from auditor import journal
from auditor.kube.client import Client
from auditor.model import Change, Event
from auditor.publish.events import RETRY_SECONDS, Message
from auditor.publish.metrics import Metrics
from auditor.publisher import DELIVERY_SECONDS, NODE_RETRY_SECONDS, Publisher
from auditor.remember import History

PATH = "/apis/sockaudit.io/v1alpha1/sockaudits/node-a"
EVENTS = "/events"


class Clock:
    """Both of the agent's clocks, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        monkeypatch.setattr("auditor.publisher.time", self)

    def time(self) -> float:
        return self.now

    monotonic = time


class Node:
    """An agent's publishing side, turn by turn."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.metrics = Metrics()
        self.publisher = Publisher(client, "node-a", self.metrics, journal.States())
        self.history = History()
        self.clock = clock

    def turn(self, *, fds: int = 3, after: float = 30) -> bool:
        """One turn of a node whose pod holds so many of 1,000 descriptors. False when it was paused."""
        self.clock.now += after
        self.history = self.publisher.take_up(self.history)
        if self.publisher.look_whether_paused():
            return False
        seen = sample([process(10, in_pod(POD_A), command="java", fds=fds)], at=self.clock.now)
        audit, self.history = judged(seen, history=self.history)
        self.publisher.publish(status(audit, node=self.publisher.node, previous=self.publisher.conditions), audit[2])
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def node(client: Client, clock: Clock) -> Node:
    return Node(client, clock)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO):
        yield caplog


def writes(api: FakeApi) -> int:
    return len(api.asked("PATCH", "/status"))


def rules(api: FakeApi) -> list[str]:
    return [finding["rule"] for finding in api.objects[PATH]["status"]["findings"]]


def sent(api: FakeApi) -> list[dict[str, Any]]:
    return [body for path, body in api.objects.items() if EVENTS in path]


def test_nothing_new_is_written_once_and_then_as_a_sign_of_life(api: FakeApi, node: Node) -> None:
    for _ in range(8):
        node.turn()
    assert api.objects[PATH]["status"]["node"]["osImage"] == "Debian"
    first = writes(api)
    for _ in range(22):
        node.turn()
    assert writes(api) - first == 2, "in eleven minutes"
    assert len(api.asked("GET", "/nodes/node-a")) == 2  # once for the figures, once to own the object


def test_a_finding_is_written_and_told_once_and_its_end_too(api: FakeApi, node: Node) -> None:
    node.turn()
    for _ in range(3):
        node.turn(fds=960)
    assert rules(api) == ["ProcessFDsHigh"]
    assert [one["type"] for one in sent(api)] == ["Warning"]
    node.turn(fds=3)
    node.turn(fds=3)
    assert rules(api) == []
    assert [one["type"] for one in sent(api)] == ["Warning", "Normal"]


def test_a_second_life_goes_on_with_the_first_ones_findings(api: FakeApi, client: Client, clock: Clock) -> None:
    first = Node(client, clock)
    first.turn(fds=960)
    since = api.objects[PATH]["status"]["findings"][0]["since"]
    second = Node(client, clock)
    api.requests.clear()
    second.turn(fds=960)
    second.turn(fds=960)
    assert len(api.asked("GET", "/sockaudits/node-a")) == 1
    assert api.objects[PATH]["status"]["findings"][0]["since"] == since
    assert len(sent(api)) == 1


def test_what_was_told_but_not_yet_written_is_written_at_the_end(api: FakeApi, client: Client, clock: Clock) -> None:
    first = Node(client, clock)
    first.turn()
    first.turn(fds=960, after=5)
    assert rules(api) == []
    assert len(sent(api)) == 1
    first.publisher.finish()
    assert rules(api) == ["ProcessFDsHigh"]
    written = writes(api)
    first.publisher.finish()
    assert writes(api) == written
    second = Node(client, clock)
    second.turn(fds=960)
    assert len(sent(api)) == 1


def test_before_the_past_is_known_nothing_is_written_or_told(
    api: FakeApi, client: Client, clock: Clock, log: pytest.LogCaptureFixture
) -> None:
    Node(client, clock).turn(fds=960)
    events = len(sent(api))
    node = Node(client, clock)
    api.faults = [Fault("GET", "/sockaudits/node-a", 500, refusal(500, "InternalError")) for _ in range(3)]
    api.requests.clear()
    for _ in range(3):
        node.turn(fds=960)
    assert not api.asked("PATCH")
    assert not api.asked("POST")
    node.turn(fds=960)
    assert len(sent(api)) == events
    assert writes(api) == 1
    told = [record.getMessage() for record in log.records if record.getMessage().startswith("API: ")]
    assert len(told) == 2
    assert told[-1] == "API: works again"


def test_an_outage_loses_no_event_and_repeats_none(api: FakeApi, node: Node) -> None:
    node.turn()
    api.faults = [Fault("PATCH", "/status", 0) for _ in range(2)]
    node.turn(fds=960)
    node.turn(fds=960)
    assert sent(api) == []
    node.turn(fds=960)
    assert rules(api) == ["ProcessFDsHigh"]
    assert len(sent(api)) == 1
    # The event was taken, but its answer was lost: the repeat is a conflict, not a second event.
    api.faults = [Fault("POST", EVENTS, 0, late=True)]
    api.carried_out.clear()
    node.turn(fds=3)
    node.turn(fds=3)
    (taken, first), (again, second) = [one for one in api.carried_out if one[0].method == "POST"]
    assert (first, second) == (201, 409)
    assert taken.body["metadata"]["name"] == again.body["metadata"]["name"]
    assert len(api.asked("POST", EVENTS)) == 3, "the opening's, and these two"
    assert counted(node)["events ok"] == 2
    assert [one["type"] for one in sent(api)] == ["Warning", "Normal"]


def test_an_event_refused_for_good_does_not_hold_up_the_rest(
    api: FakeApi, node: Node, log: pytest.LogCaptureFixture
) -> None:
    node.turn()
    api.faults = [Fault("POST", EVENTS, 422, refusal(422, "Invalid"))]
    node.turn(fds=960)
    node.turn(fds=3)
    node.turn(fds=3)
    assert [one["type"] for one in sent(api)] == ["Normal"]
    assert "events: refused: 422 Invalid" in log.text
    assert rules(api) == []


def test_an_event_that_a_server_refuses_before_it_knows_all_roles_is_sent_later(
    api: FakeApi, node: Node, log: pytest.LogCaptureFixture
) -> None:
    node.turn()
    api.faults = [Fault("POST", EVENTS, 403, refusal(403, "Forbidden"))]
    node.turn(fds=960)
    assert not sent(api)
    assert "events: refused: 403 Forbidden" in log.text
    node.turn(fds=960)
    assert [one["type"] for one in sent(api)] == ["Warning"]
    assert "events: works again" in log.text
    assert counted(node) == {"writes ok": 2, "events failed": 1, "events ok": 1}


def test_an_event_that_is_refused_again_and_again_is_given_up_and_counted(api: FakeApi, node: Node) -> None:
    node.turn()
    api.faults = [Fault("POST", EVENTS, 403, refusal(403, "Forbidden")) for _ in range(20)]
    for _ in range(60):
        node.turn(fds=960)
    assert counted(node)["events dropped"] == 1
    assert counted(node)["events failed"] == 1 + len(RETRY_SECONDS)


def test_a_missing_definition_is_one_line_until_it_is_installed(
    api: FakeApi, node: Node, log: pytest.LogCaptureFixture
) -> None:
    api.installed = False
    for _ in range(3):
        node.turn()
    assert log.text.count("install the CRD") == 1
    assert not node.publisher.has_written
    api.installed = True
    node.turn()
    assert node.publisher.has_written


def test_a_deleted_object_is_made_again(api: FakeApi, node: Node) -> None:
    node.turn(fds=960)
    del api.objects[PATH]
    node.turn(after=400, fds=960)
    assert rules(api) == ["ProcessFDsHigh"]
    assert len(sent(api)) == 1


def test_without_its_node_an_object_is_tried_no_sooner_than_the_next_sign_of_life(
    api: FakeApi, node: Node, log: pytest.LogCaptureFixture
) -> None:
    gone = api.objects.pop("/api/v1/nodes/node-a")
    for _ in range(5):
        node.turn()
    assert writes(api) == 1
    assert log.text.count("does not exist") == 1
    api.objects["/api/v1/nodes/node-a"] = gone
    node.turn(after=400)
    assert api.objects[PATH]["metadata"]["ownerReferences"][0]["uid"] == "node-uid"


def test_a_paused_object_is_left_alone_until_it_is_not(api: FakeApi, node: Node) -> None:
    node.turn()
    api.objects[PATH]["spec"] = {"paused": True}
    node.turn(after=400)  # the reply to this write says so
    written = writes(api)
    assert not node.turn(fds=960, after=400)
    assert not node.turn(fds=960, after=400)
    assert writes(api) == written
    api.objects[PATH]["spec"] = {}
    assert node.turn(fds=960, after=400)
    assert rules(api) == ["ProcessFDsHigh"]


def test_a_nodes_new_labels_reach_the_object_within_the_hour(api: FakeApi, client: Client, clock: Clock) -> None:
    node = Node(client, clock)
    node.turn()
    labels = api.objects["/api/v1/nodes/node-a"]["metadata"]["labels"]
    try:
        labels["topology.kubernetes.io/zone"] = "z2"
        node.turn(after=3700)
        assert api.objects[PATH]["metadata"]["labels"] == {"topology.kubernetes.io/zone": "z2"}
        # A new life sees what changed while there was none.
        labels["topology.kubernetes.io/zone"] = "z3"
        Node(client, clock).turn()
        assert api.objects[PATH]["metadata"]["labels"] == {"topology.kubernetes.io/zone": "z3"}
    finally:
        labels["topology.kubernetes.io/zone"] = "z1"


def test_a_node_that_may_not_be_read_leaves_its_image_unknown(
    api: FakeApi, node: Node, log: pytest.LogCaptureFixture
) -> None:
    node.turn()
    other = Node(node.publisher._client, node.clock)
    api.faults = [Fault("GET", "/nodes/node-a", 403, refusal(403, "Forbidden", "node-a"))]
    other.turn()
    assert "osImage" not in api.objects[PATH]["status"]["node"]
    assert "its labels and image are unknown" in log.text
    other.turn(after=NODE_RETRY_SECONDS)
    assert "osImage" in api.objects[PATH]["status"]["node"]


def test_what_stands_in_the_object_may_be_anything(api: FakeApi, node: Node) -> None:
    audit = status(troubled()).model_dump(mode="json", by_alias=True, exclude_none=True)
    audit["findings"].append({"since": 3})
    audit["conditions"] = "none"
    api.objects[PATH] = {"metadata": {"name": "node-a"}, "status": audit}
    node.turn()
    assert writes(api) == 1


def counted(node: Node) -> dict[str, float]:
    """Writes and events by result, as the metrics say."""
    families = (("writes", node.metrics.writes), ("events", node.metrics.events))
    return {
        f"{name} {one.labels['result']}": one.value
        for name, counter in families
        for family in counter.collect()
        for one in family.samples
        if one.name.endswith("_total")
    }


@pytest.mark.parametrize("refused", [refusal(422, "Invalid", "node-a"), refusal(403, "Forbidden", "node-a")])
def test_a_status_that_is_refused_holds_up_no_event(
    api: FakeApi, node: Node, log: pytest.LogCaptureFixture, refused: dict[str, Any]
) -> None:
    api.faults = [Fault("PATCH", "/status", refused["code"], refused) for _ in range(3)]
    for _ in range(3):
        node.turn(fds=960)
    assert [one["type"] for one in sent(api)] == ["Warning"]
    assert counted(node) == {"writes failed": 3, "events ok": 1}
    assert log.text.count("object: its status is refused: ") == 1
    node.turn(fds=960)
    assert rules(api) == ["ProcessFDsHigh"]
    assert "object: works again" in log.text


def test_an_event_or_a_label_that_fails_is_no_failed_write(
    api: FakeApi, client: Client, clock: Clock, log: pytest.LogCaptureFixture
) -> None:
    node = Node(client, clock)
    node.turn()
    api.faults = [Fault("POST", EVENTS, 500, refusal(500, "InternalError"))]
    node.turn(fds=960)
    assert counted(node) == {"writes ok": 2, "events failed": 1}
    labels = api.objects["/api/v1/nodes/node-a"]["metadata"]["labels"]
    try:
        labels["topology.kubernetes.io/zone"] = "z2"
        api.faults = [Fault("PATCH", "/sockaudits/node-a", 403, refusal(403, "Forbidden"))]
        node.turn(fds=960, after=3700)
    finally:
        labels["topology.kubernetes.io/zone"] = "z1"
    assert counted(node) == {"writes ok": 3, "events failed": 1, "events ok": 2}, "the second is a refresh"
    assert "labels: the object's are refused" in log.text


def test_a_slow_api_gets_one_event_a_turn_and_the_rest_later(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.turn()
    deliver = node.publisher._deliver

    def slowly(one: Message) -> None:
        node.clock.now += DELIVERY_SECONDS
        deliver(one)

    monkeypatch.setattr(node.publisher, "_deliver", slowly)
    node.turn(fds=960)
    node.publisher._outbox.add([Event(0.0, Change.OPENED, troubled()[2].findings[0])] * 3, [], node.clock.now)
    for expected in (2, 3, 4):
        node.turn(fds=960)
        assert counted(node)["events ok"] == expected


def test_events_that_had_to_go_are_counted(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.publish.events.PENDING_MAX", 0)
    node.turn()
    node.turn(fds=960)
    assert counted(node)["events dropped"] == 1


def test_what_is_paused_and_deleted_is_not_paused(api: FakeApi, node: Node) -> None:
    node.turn()
    api.objects[PATH]["spec"] = {"paused": True}
    node.turn(after=400)
    assert node.publisher.paused
    assert not node.turn()
    del api.objects[PATH]
    assert node.turn()
    assert not node.publisher.paused
