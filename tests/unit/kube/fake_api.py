"""An apiserver for faults that a real one does not produce on demand. It serves on loopback, in a thread."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str
    user: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next request of a method whose path ends so.

    Attributes:
        status: HTTP status of the answer; 0 resets the connection, -1 never answers.
        body: a Status document or raw bytes.
        late: the request is carried out before it happens: what is lost is the answer alone.
    """

    method: str
    ends: str
    status: int
    body: bytes | Json = b""
    headers: dict[str, str] = field(default_factory=dict)
    late: bool = False


def refusal(code: int, reason: str, name: str = "", message: str = "") -> Json:
    return {
        "kind": "Status",
        "code": code,
        "reason": reason,
        "message": message or f"{reason} {name}",
        "details": {"name": name} if name else {},
    }


class FakeApi:
    """Stores what is created and patched; keeps every request; breaks as told.

    Attributes:
        objects: by path.
        carried_out: each request that no fault kept from it, watches aside, and the status it came to.
        watches: what each next watch sends, line by line; `None` in it stays silent until the server ends.
        pods: what a list of pods returns.
        collections: what lists at other paths return, page by page.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.requests: list[Request] = []
        self.carried_out: list[tuple[Request, int]] = []
        self.faults: list[Fault] = []
        self.watches: list[list[Json | bytes | None]] = []
        self.pods: list[Json] = []
        self.collections: dict[str, list[Json]] = {}
        self.installed = True
        self.ended = threading.Event()
        self.token: str | None = None
        self._port = 0

    def asked(self, method: str, ends: str = "") -> list[Request]:
        return [one for one in self.requests if one.method == method and one.path.endswith(ends)]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve; the second time on the same port, as a restarted server would."""
        api = self
        self.ended.clear()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def do_GET(self) -> None:
                api._serve(self)

            do_POST = do_PATCH = do_GET  # noqa: N815

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        server.daemon_threads = True
        self._port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.ended.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def kubeconfig(self, folder: Path, token: str = "first") -> str:
        """Write a configuration that names this server and a token file."""
        (folder / "token").write_text(token)
        path = folder / "kubeconfig"
        config = {
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}],
            "users": [{"name": "it", "user": {"tokenFile": str(folder / "token")}}],
        }
        path.write_text(yaml.safe_dump(config))
        return str(path)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        token = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        request = Request(handler.command, url.path, query, body, token, handler.headers.get("Impersonate-User") or "")
        self.requests.append(request)
        faults = self.faults  # a test may put others in their place meanwhile
        for fault in faults:
            if fault.method == request.method and request.path.endswith(fault.ends):
                faults.remove(fault)
                if fault.late:
                    self._answer(request)
                _break(handler, fault, self.ended)
                return
        if self.token is not None and token != self.token:
            _reply(handler, 401, refusal(401, "Unauthorized"))
        elif request.method == "GET" and "as=PartialObjectMetadata;" in handler.headers.get("Accept", ""):
            _reply(handler, 406, refusal(406, "NotAcceptable"))  # as the real one does with lists
        elif request.query.get("watch"):
            self._watch(handler)
        else:
            _reply(handler, *self._answer(request))

    def _watch(self, handler: BaseHTTPRequestHandler) -> None:
        lines = self.watches.pop(0) if self.watches else [None]
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        for line in lines:
            if line is None:
                self.ended.wait(20)
                return
            handler.wfile.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            handler.wfile.flush()

    def _answer(self, request: Request) -> tuple[int, Json | bytes]:
        status, body = self._carry_out(request)
        self.carried_out.append((request, status))
        return status, body

    def _carry_out(self, request: Request) -> tuple[int, Json | bytes]:
        path = request.path
        if path.startswith("/apis/sockaudit.io/") and not self.installed:
            return 404, b"404 page not found"
        if path == "/api/v1/pods":
            return 200, {"metadata": {"resourceVersion": "10"}, "items": self.pods}
        if request.method == "GET" and path in self.collections:
            return 200, self._page(self.collections[path], request.query)
        return self._object(request)

    def _object(self, request: Request) -> tuple[int, Json]:
        path = request.path
        if request.method == "POST":
            path = f"{path}/{request.body['metadata']['name']}"
            if path in self.objects:
                return 409, refusal(409, "AlreadyExists", path)
            self.objects[path] = request.body
            return 201, request.body
        found = self.objects.get(path.removesuffix("/status"))
        if found is None:
            return 404, refusal(404, "NotFound", path.rpartition("/")[2])
        if request.method == "PATCH" and isinstance(request.body, list):
            found["status"] = request.body[0]["value"]
        elif request.method == "PATCH":
            _merge(found, request.body)
        return 200, found

    @staticmethod
    def _page(items: list[Json], query: dict[str, str]) -> Json:
        begin = int(query.get("continue") or 0)
        end = begin + int(query.get("limit") or len(items) or 1)
        metadata: Json = {}
        if end < len(items):
            metadata = {"continue": str(end), "remainingItemCount": len(items) - end}
        return {"metadata": metadata, "items": items[begin:end]}


def _merge(into: Json, patch: Json) -> None:
    """JSON merge patch (RFC 7396)."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def _break(handler: BaseHTTPRequestHandler, fault: Fault, ended: threading.Event) -> None:
    if fault.status > 0:
        _reply(handler, fault.status, fault.body, fault.headers)
        return
    handler.close_connection = True
    if fault.status == -1:
        ended.wait(20)


def _reply(
    handler: BaseHTTPRequestHandler, status: int, body: Json | bytes, headers: dict[str, str] | None = None
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for key, value in (headers or {}).items():
        handler.send_header(key, value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
