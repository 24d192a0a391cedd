"""The object and the events, verb by verb."""

import pytest
from kube.fake_api import FakeApi, Fault, refusal

from auditor.kube.client import ApiError, Client
from auditor.kube.node import read_node
from auditor.kube.writer import EventWriter, NodeGoneError, ObjectWriter

PATH = "/apis/sockaudit.io/v1alpha1/sockaudits/node-a"
ZONE = "topology.kubernetes.io/zone"
EVENT = {"metadata": {"name": "e1", "namespace": "shop"}, "note": "x"}
EVENTS = "/apis/events.k8s.io/v1/namespaces/shop/events"


@pytest.fixture
def writer(client: Client) -> ObjectWriter:
    return ObjectWriter(client, "node-a", "sockaudit.io/v1alpha1", "SockAudit", "sockaudits")


def verbs(api: FakeApi) -> list[tuple[str, str]]:
    return [(one.method, one.path.rpartition("/")[2]) for one in api.requests]


def test_the_first_write_makes_the_object_owned_by_the_node_with_its_labels(api: FakeApi, writer: ObjectWriter) -> None:
    writer.write({"verdict": "OK"})
    assert verbs(api) == [("PATCH", "status"), ("GET", "node-a"), ("POST", "sockaudits"), ("PATCH", "status")]
    made = api.objects[PATH]
    assert made["status"] == {"verdict": "OK"}
    assert made["metadata"]["labels"] == {ZONE: "z1"}
    owner = made["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"], owner["blockOwnerDeletion"]) == ("Node", "node-uid", False)


def test_later_writes_are_one_patch_that_replaces_the_status(api: FakeApi, writer: ObjectWriter) -> None:
    writer.write({"verdict": "OK", "summary": {"percent": 3}})
    api.requests.clear()
    writer.write({"verdict": "Unknown"})
    assert verbs(api) == [("PATCH", "status")]
    assert api.objects[PATH]["status"] == {"verdict": "Unknown"}


def test_an_object_that_someone_made_meanwhile_is_taken(api: FakeApi, writer: ObjectWriter) -> None:
    writer.write({"verdict": "OK"})
    api.faults = [Fault("PATCH", "/status", 404, refusal(404, "NotFound", "node-a"))]
    writer.write({"verdict": "Warning"})
    assert api.objects[PATH]["status"] == {"verdict": "Warning"}


def test_without_a_node_no_object_is_made(api: FakeApi, writer: ObjectWriter) -> None:
    api.objects.clear()
    with pytest.raises(NodeGoneError):
        writer.write({"verdict": "OK"})
    assert not api.asked("POST")


def test_a_missing_definition_is_an_error_and_makes_nothing(api: FakeApi, writer: ObjectWriter) -> None:
    api.installed = False
    with pytest.raises(ApiError, match="404"):
        writer.write({"verdict": "OK"})
    with pytest.raises(ApiError, match="404"):
        writer.read()
    assert not api.asked("POST")


def test_a_pause_is_seen_in_the_reply_to_a_write(api: FakeApi, writer: ObjectWriter) -> None:
    assert writer.read() is None
    writer.write({"verdict": "OK"})
    assert not writer.paused
    api.objects[PATH]["spec"] = {"paused": True}
    writer.write({"verdict": "OK"})
    assert writer.paused
    api.objects[PATH]["spec"] = {"paused": "yes"}
    writer.read()
    assert not writer.paused


def test_labels_follow_the_node_and_others_stay(api: FakeApi, client: Client, writer: ObjectWriter) -> None:
    writer.write({"verdict": "OK"})
    labels = api.objects[PATH]["metadata"]["labels"]
    labels |= {"team": "net", "node.kubernetes.io/instance-type": "old"}
    node = read_node(client, "node-a")
    assert node is not None
    writer.label(node)
    assert api.objects[PATH]["metadata"]["labels"] == {ZONE: "z1", "team": "net"}
    assert writer.labels == {ZONE: "z1"}
    del api.objects[PATH]
    writer.label(node)
    assert PATH not in api.objects


def test_an_event_of_the_same_name_says_the_same(api: FakeApi, client: Client) -> None:
    events = EventWriter(client)
    events.create("shop", EVENT)
    events.create("shop", EVENT)
    assert f"{EVENTS}/e1" in api.objects
    assert len(api.asked("POST")) == 2


def test_a_refresh_adds_to_the_series_or_makes_an_expired_event_again(api: FakeApi, client: Client) -> None:
    events = EventWriter(client)
    events.create("shop", dict(EVENT))
    events.refresh("shop", "e1", {"series": {"count": 2}}, EVENT)
    assert api.objects[f"{EVENTS}/e1"]["series"] == {"count": 2}
    del api.objects[f"{EVENTS}/e1"]
    events.refresh("shop", "e1", {"series": {"count": 3}}, EVENT)
    assert api.objects[f"{EVENTS}/e1"] == EVENT


@pytest.mark.parametrize("status", [403, 500])
def test_a_refusal_is_told(api: FakeApi, client: Client, status: int) -> None:
    api.faults = [Fault("POST", "/events", status, refusal(status, "No"))]
    with pytest.raises(ApiError, match=str(status)):
        EventWriter(client).create("shop", EVENT)
