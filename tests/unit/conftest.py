"""A fake apiserver for each test that asks for one, and a client of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from kube.fake_api import FakeApi

from auditor.kube.client import Client, connect

NODE = {
    "metadata": {"name": "node-a", "uid": "node-uid", "labels": {"topology.kubernetes.io/zone": "z1", "other": "x"}},
    "status": {
        "nodeInfo": {"osImage": "Debian", "containerRuntimeVersion": "containerd://2"},
        "allocatable": {"pods": "110"},
    },
}

# The profile outside CI: a busy machine makes an example slow, not wrong. The one under CI has no deadline either.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()
    fake.objects["/api/v1/nodes/node-a"] = NODE
    with fake.serving():
        yield fake


@pytest.fixture
def waits() -> list[float]:
    """Seconds that the client would have waited."""
    return []


@pytest.fixture
def client(api: FakeApi, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    pause: Callable[[float], object] = waits.append
    return connect(kubeconfig=api.kubeconfig(tmp_path), pause=pause)
