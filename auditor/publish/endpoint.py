"""One small HTTP endpoint: /metrics, /healthz for liveness, /readyz for readiness."""

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PLAIN = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_SECONDS = 10


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
            timeout = _REQUEST_SECONDS

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

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            daemon_threads = True

        self._server = Server(address, Handler)
        threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True).start()

    @property
    def port(self) -> int:
        """The port in use; of interest when 0 was asked for."""
        return int(self._server.server_address[1])
