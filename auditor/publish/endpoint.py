"""One small HTTP endpoint: /metrics, /healthz for liveness, /readyz for readiness."""

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOG = logging.getLogger(__name__)
_PLAIN = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_SECONDS = 10.0
REQUESTS_MAX = 16


class _Server(ThreadingHTTPServer):
    """Answers at most sixteen at once, each for ten seconds at most.

    When there is no room the oldest has to go: an answer takes milliseconds, so it is one that dawdles, and a probe that
    were refused instead would have the kubelet restart the agent.
    """

    daemon_threads = True
    request_queue_size = 128  # a probe that finds the queue full tries again after a second, then three, then seven

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._room = threading.Semaphore(REQUESTS_MAX)
        self._lock = threading.Lock()
        self._deadlines: dict[Any, float] = {}  # by connection, the oldest first
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Begin to answer."""
        if not self._room.acquire(blocking=False):
            self._cut(1)
            if not self._room.acquire(timeout=1):
                self.shutdown_request(request)
                return
        with self._lock:
            self._deadlines[request] = time.monotonic() + REQUEST_SECONDS
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the same
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._deadlines[request]
            self._room.release()

    def service_actions(self) -> None:
        """End what takes too long; called twice a second."""
        now = time.monotonic()
        with self._lock:
            overdue = sum(deadline < now for deadline in self._deadlines.values())
        self._cut(overdue)

    def _cut(self, number: int) -> None:
        with self._lock:
            oldest = list(self._deadlines)[:number]
        for request in oldest:
            with suppress(OSError):  # it ended just now
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the same
        """Say what went wrong here; a client that goes away in the middle is no trouble of ours."""
        error = sys.exception()
        if not isinstance(error, OSError):
            LOG.error("an answer was not finished: %r", error, exc_info=error)


class Endpoint:
    """Serves until the process ends; its threads keep nothing alive."""

    def __init__(
        self,
        address: tuple[str, int],
        metrics: Callable[[], bytes],
        alive: Callable[[], bool],
        ready: Callable[[], bool],
    ) -> None:
        """Bind.

        Raises:
            OSError: the address is taken or not ours.
        """

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_SECONDS

            def do_GET(self) -> None:
                match self.path.partition("?")[0]:
                    case "/metrics":
                        self._answer(200, metrics(), _METRICS)
                    case "/healthz":
                        self._probe(holds=alive())
                    case "/readyz":
                        self._probe(holds=ready())
                    case _:
                        self._answer(404, b"try /metrics, /healthz or /readyz\n", _PLAIN)

            def _probe(self, *, holds: bool) -> None:
                self._answer(200 if holds else 503, b"ok\n" if holds else b"not now\n", _PLAIN)

            def _answer(self, code: int, body: bytes, kind: str) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Say nothing: probes come every few seconds."""

        self._server = _Server(address, Handler)
        threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True).start()

    @property
    def port(self) -> int:
        """The port in use; of interest when 0 was asked for."""
        return int(self._server.server_address[1])
