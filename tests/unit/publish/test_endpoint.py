"""The agent's endpoint and clients that dawdle."""

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from auditor.publish import endpoint
from auditor.publish.endpoint import REQUESTS_MAX, Endpoint


@pytest.fixture
def port() -> Iterator[int]:
    one = Endpoint(("127.0.0.1", 0), lambda: b"metrics", lambda: True, lambda: True)
    yield one.port
    one._server.shutdown()
    one._server.server_close()


def healthy(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as reply:
        return reply.status == 200  # type: ignore[no-any-return]


def test_many_slow_clients_take_few_threads_and_no_probe_waits_for_them(port: int) -> None:
    before = threading.active_count()
    slow = []
    for _ in range(5 * REQUESTS_MAX):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(b"GET /metr")
        slow.append(one)
    assert healthy(port)
    assert threading.active_count() - before <= REQUESTS_MAX
    for one in slow:
        one.close()


def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "REQUEST_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", port)) as one, pytest.raises(OSError, match=r"reset|pipe"):  # noqa: PT012
        for _ in range(100):  # ten seconds, and as much more as the machine is slower
            one.sendall(b"G")
            time.sleep(0.1)
    assert healthy(port)


def test_a_client_that_goes_away_is_not_told_on_stderr(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    one = socket.create_connection(("127.0.0.1", port))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    one.sendall(b"GET /metrics HTTP/1.0\r\n")
    one.close()
    assert healthy(port)
    deadline = time.monotonic() + 60
    while set(threading.enumerate()) - before:  # what it has to tell it tells before it ends
        assert time.monotonic() < deadline, "an answer does not end"
        time.sleep(0.01)
    assert capfd.readouterr().err == ""


def test_what_goes_wrong_here_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> bool:
        raise RuntimeError("a flag that nobody set")

    one = Endpoint(("127.0.0.1", 0), lambda: b"", broken, broken)
    with pytest.raises(OSError, match="without response"):
        healthy(one.port)
    one._server.shutdown()
    one._server.server_close()
    assert "a flag that nobody set" in caplog.text
