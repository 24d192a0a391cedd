"""Requests that go wrong in every way."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube.fake_api import FakeApi, Fault, refusal
from kubernetes.config import kube_config

from auditor.kube.client import ApiError, Client, connect

PATH = "/api/v1/nodes/node-a"


def failure(client: Client, path: str = PATH) -> ApiError:
    with pytest.raises(ApiError) as caught:
        client.get(path)
    return caught.value


def test_a_rotated_token_is_read_anew_and_the_request_made_again(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    client = connect(kubeconfig=api.kubeconfig(tmp_path))
    api.token = "first"
    client.get(PATH)
    api.token = "second"
    (tmp_path / "token").write_text("second\n")
    assert client.get(PATH)["metadata"]["name"] == "node-a"
    assert [one.token for one in api.requests] == ["first", "first", "second"]


def test_an_expired_token_is_tried_twice_and_then_told(api: FakeApi, client: Client) -> None:
    api.token = "another"
    error = failure(client)
    assert (error.status, error.reason) == (401, "Unauthorized")
    assert len(api.requests) == 2


def test_a_busy_server_is_given_the_time_it_asks_for_once(api: FakeApi, client: Client, waits: list[float]) -> None:
    busy = Fault("GET", PATH, 429, refusal(429, "TooManyRequests"), {"Retry-After": "3"})
    api.faults = [busy]
    client.get(PATH)
    assert waits == [3.0]
    api.faults = [busy, busy]
    assert failure(client).status == 429


def test_what_a_server_asks_for_is_bounded(api: FakeApi, client: Client, waits: list[float]) -> None:
    api.faults = [Fault("GET", PATH, 503, b"", {"Retry-After": "86400"})]
    client.get(PATH)
    assert waits == [5.0]


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (Fault("GET", PATH, 500, refusal(500, "InternalError", message="etcd is away")), 500, "etcd is away"),
        (Fault("GET", PATH, 403, refusal(403, "Forbidden", "node-a")), 403, "Forbidden"),
        (Fault("GET", PATH, 0), None, "no cluster answered at 127.0.0.1"),
        (Fault("GET", PATH, 200, b"<html>"), None, "no JSON object"),
        (Fault("GET", PATH, 200, b"[1]"), None, "no JSON object"),
        (Fault("GET", PATH, 502, b"\x1b[31mbad\ngateway" + b"x" * 5000), 502, "bad"),
    ],
)
def test_every_failure_is_one_bounded_line(
    api: FakeApi, client: Client, fault: Fault, status: int | None, words: str
) -> None:
    api.faults = [fault]
    error = failure(client)
    assert error.status == status
    assert words in str(error)
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 400


def test_a_missing_definition_is_told_from_a_missing_object(api: FakeApi, client: Client) -> None:
    path = "/apis/sockaudit.io/v1alpha1/sockaudits/node-a"
    assert failure(client, path).reason == "NotFound"
    api.installed = False
    assert failure(client, path).reason == "NoResource"


def test_a_server_that_is_gone_is_named(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    other = FakeApi()
    with other.serving():
        client = connect(kubeconfig=other.kubeconfig(tmp_path))
    assert "no cluster answered at 127.0.0.1" in str(failure(client))
    assert not api.requests


@pytest.mark.parametrize("text", ["", "a: [", "apiVersion: v1\n"])
def test_a_configuration_that_is_none_is_one_line(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    (tmp_path / "config").write_text(text)
    with pytest.raises(ApiError, match="no usable cluster configuration") as caught:
        connect(kubeconfig=str(tmp_path / "config"))
    assert "\n" not in str(caught.value)


def test_threads_that_connect_at_once_find_the_certificates_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*arguments: Any) -> Any:
        time.sleep(0.2)
        return open(*arguments)

    monkeypatch.setattr(kube_config, "open", slowly, raising=False)
    trust = f"made for {tmp_path}".encode()  # the package keeps by content what it wrote once
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": base64.b64encode(trust).decode()}
    config = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": {"token": "t"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))

    def trusted(_: int) -> bytes:
        return Path(connect(kubeconfig=str(path))._server.pool.connection_pool_kw["ca_certs"]).read_bytes()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(trusted, range(4))) == [trust] * 4
