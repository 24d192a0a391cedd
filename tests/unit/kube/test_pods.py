"""The pod watch against servers that expire, hang, lie and restart."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kube.fake_api import FakeApi, Fault, refusal

from auditor.kube.client import Client, connect
from auditor.kube.pods import Pace, PodWatch

# The grace is wide: on a busy machine the server is silent for a while, and a watch that is given up takes along its events.
HASTE = Pace(watch=1, grace=20, first_retry=0.02, last_retry=0.05, steady=0.5)


def pod(name: str, version: str = "11", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": version, **metadata},
        "spec": {"nodeName": "node-a"},
        "status": {"containerStatuses": [{"name": "app", "containerID": "containerd://abc"}]},
    }


def event(kind: str, one: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": one}


def within(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


@contextmanager
def watching(client: Client, pace: Pace = HASTE) -> Iterator[PodWatch]:
    watch = PodWatch(client, "node-a", pace)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def names(watch: PodWatch) -> set[str]:
    return {identity.name for identity in watch.snapshot().values()}


def lists(api: FakeApi) -> int:
    return sum(1 for one in api.asked("GET", "/pods") if "watch" not in one.query)


def test_it_lists_from_the_servers_cache_and_follows(api: FakeApi, client: Client) -> None:
    api.pods = [pod("old"), pod("gone")]
    api.watches = [[event("ADDED", pod("new", "12")), event("DELETED", pod("gone", "13")), None]]
    with watching(client) as watch:
        within(lambda: names(watch) == {"old", "new"})
        assert watch.trouble is None
        assert watch.snapshot()["uid-new"].containers == {"abc": "app"}
    first, second = api.asked("GET", "/pods")[:2]
    assert first.query["resourceVersion"] == "0"
    assert first.query["fieldSelector"] == second.query["fieldSelector"] == "spec.nodeName=node-a"
    assert second.query["resourceVersion"] == "10"
    assert "timeoutSeconds" in second.query


@pytest.mark.parametrize("form", ["event", "answer"])
def test_an_expired_version_is_listed_again_and_nobody_is_forgotten_meanwhile(
    api: FakeApi, client: Client, form: str
) -> None:
    expired = refusal(410, "Expired")
    api.pods = [pod("kept")]
    api.watches = [[event("ERROR", expired)]] if form == "event" else []
    api.watches += [[b""]] * 10_000  # each ends at once, and the next begins
    with watching(client) as watch:
        within(lambda: watch.synced)
        if form == "answer":
            api.faults = [Fault("GET", "/pods", 410, expired)]

        def kept() -> bool:
            assert "kept" in names(watch)
            return True

        within(lambda: kept() and lists(api) == 2)
        api.watches = [[event("ADDED", pod("new")), None]]
        within(lambda: kept() and names(watch) == {"kept", "new"})
        assert lists(api) == 2


@pytest.mark.parametrize(
    "broken",
    [
        [b'{"type": "ADDED", "obj'],
        [b"garbage\n"],
        [b'{"type": "ADDED", "object": 3}\n'],
        [event("ERROR", refusal(500, "InternalError"))],
        [None],
    ],
    ids=["half a line", "garbage", "no object", "server error", "silence"],
)
def test_a_broken_watch_is_begun_again(api: FakeApi, client: Client, broken: list[Any]) -> None:
    api.pods = [pod("kept")]
    later: list[Any] = [event("ADDED", pod("new")), None]
    api.watches = [broken, *[later] * 100]  # whoever waits for the end of a silence gives up a slow one as well
    with watching(client, replace(HASTE, grace=0.5) if broken == [None] else HASTE) as watch:
        within(lambda: names(watch) == {"kept", "new"})


def test_a_silent_or_refusing_server_is_a_trouble_that_ends(api: FakeApi, client: Client) -> None:
    api.faults = [Fault("GET", "/pods", 500, refusal(500, "InternalError", message="no")) for _ in range(10_000)]
    api.pods = [pod("kept")]
    with watching(client) as watch:
        within(lambda: "500" in (watch.trouble or ""))
        api.faults = []
        within(lambda: names(watch) == {"kept"})
        within(lambda: watch.trouble is None)


def test_names_outlive_a_server_that_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    api = FakeApi()
    api.pods = [pod("kept")]
    with api.serving():
        client = connect(kubeconfig=api.kubeconfig(tmp_path))
        watch = PodWatch(client, "node-a", HASTE)
        watch.start()
        within(lambda: names(watch) == {"kept"})
    within(lambda: "no cluster answered" in (watch.trouble or ""))
    assert names(watch) == {"kept"}
    assert "last heard of" in (watch.trouble or "")
    api.watches = [[event("ADDED", pod("new")), None]]
    with api.serving():
        within(lambda: names(watch) == {"kept", "new"})
        assert watch.trouble is None
        watch.stop()


def test_text_from_the_api_is_bounded(api: FakeApi, client: Client) -> None:
    api.pods = [pod("n" * 100_000), {"metadata": {"name": 3}}, pod("\x1b[31mred\n")]
    with watching(client) as watch:
        within(lambda: watch.synced)
        found = names(watch)
    assert len(found) == 2
    assert all(len(name) <= 300 and name.isprintable() for name in found)


def test_a_static_pod_goes_by_its_config_hash_only_if_the_node_owns_it(api: FakeApi, client: Client) -> None:
    digest = "0" * 32
    static = {"kubernetes.io/config.hash": digest, "kubernetes.io/config.mirror": digest}
    owner = [{"kind": "Node", "name": "node-a"}]
    api.pods = [pod("real", annotations=static, ownerReferences=owner), pod("forged", annotations=static)]
    with watching(client) as watch:
        within(lambda: watch.synced)
        assert watch.snapshot()[digest].name == "real"
        assert watch.snapshot()["uid-forged"].name == "forged"
