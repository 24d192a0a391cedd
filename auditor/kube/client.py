"""The cluster's API: verbs on paths, and JSON stays JSON."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final, NoReturn
from urllib.parse import urlencode, urlsplit

import urllib3

from auditor import __version__
from auditor.kube.access import Access
from auditor.kube.server import NoConfigError, Server, inside, of_this_pod
from auditor.model.words import bounded, clean

Json = dict[str, Any]

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 10.0
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
# Of a list: the API answers 406 to one that is asked for as a single object.
_METADATA_OF_ITEMS: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_LONGEST_WAIT_SECONDS: Final = 5.0  # What a Retry-After may cost the caller, at most and once.
_LARGEST_REPLY: Final = 32 << 20  # A node's pod list is about 1 MiB; what is larger is not for us.
_LARGEST_LINE: Final = 8 << 20  # etcd holds no object above 1.5 MiB.
_MOST_WORDS: Final = 300


class ApiError(Exception):
    """A request that did not succeed. Its text is one line for a person.

    Attributes:
        status: HTTP status; `None` when nobody answered.
        reason: the API's own word (`NotFound`, `Forbidden`, `Expired`), `NoResource` when the server does not know the
            resource at all (the definition is not installed), or `NoAnswer`, `NoConfig`, `BadAnswer`.
        message: what happened, one clause.
    """

    def __init__(self, status: int | None, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        self.message = bounded(clean(message), _MOST_WORDS)
        super().__init__(self.message if status is None else f"{status} {reason}: {self.message}")


class Lines:
    """The lines of one watch, as they come. Iterate in one thread; `close` may be called from any other."""

    def __init__(self, response: urllib3.BaseHTTPResponse, server: str) -> None:
        self._response = response
        self._server = server

    def __iter__(self) -> Iterator[bytes]:
        """Yield whole lines; half a line at the end of a broken stream is dropped.

        Raises:
            ApiError: the server fell silent, the connection broke, or a line has no end.
        """
        rest = b""
        try:
            while chunk := self._response.read1(1 << 16):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
                if len(rest) > _LARGEST_LINE:
                    raise ApiError(None, "BadAnswer", f"{self._server} sent a line without an end")
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise ApiError(None, "NoAnswer", _no_answer(self._server, error)) from None

    def close(self) -> None:
        """End the stream; an iteration that waits for the next line ends as well."""
        with suppress(ValueError, RuntimeError, OSError, NotImplementedError):
            self._response.shutdown()


class Client:
    """Verbs on paths, with plain documents.

    Args:
        find: finds the server. Called again after a 401, since tokens and certificates are rotated.
        pause: waits some seconds; interruptible in the agent.
        access: how long a request may take, and for whom it is made.
    """

    def __init__(
        self,
        find: Callable[[], Server],
        pause: Callable[[float], object] = time.sleep,
        access: Access | None = None,
    ) -> None:
        self._find = find
        self._pause = pause
        self._access = access or Access()
        self._server = _found(find)

    @property
    def server(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self._server.url).netloc

    def get(self, path: str, params: Mapping[str, str] | None = None, *, metadata_only: bool = False) -> Json:
        """Read one document, or a list. `metadata_only` asks for the items of a list without spec and status.

        Raises:
            ApiError: as every verb here.
        """
        return self._ask("GET", path, params=params, metadata_only=metadata_only)

    def create(self, path: str, body: Json, *, metadata_only: bool = False) -> Json:
        """Create a document in a collection."""
        return self._ask("POST", path, body=body, metadata_only=metadata_only)

    def patch(
        self,
        path: str,
        body: Json | list[Json],
        *,
        content_type: str = MERGE_PATCH,
        metadata_only: bool = False,
    ) -> Json:
        """Change a document. `metadata_only` asks for a reply without spec and status."""
        return self._ask("PATCH", path, body=body, content_type=content_type, metadata_only=metadata_only)

    @contextmanager
    def stream(self, path: str, params: Mapping[str, str], read_seconds: float) -> Iterator[Lines]:
        """Open a watch. A server silent for `read_seconds` counts as gone."""
        response = self._send("GET", path, params=params, read_seconds=read_seconds)
        try:
            if response.status != 200:  # noqa: PLR2004
                _refuse(response.status, _body(response, self.server))
            yield Lines(response, self.server)
        finally:
            response.close()

    def _ask(  # noqa: PLR0913
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | list[Json] | None = None,
        content_type: str = "application/json",
        metadata_only: bool = False,
    ) -> Json:
        response = self._send(
            method, path, params=params, body=body, content_type=content_type, metadata_only=metadata_only
        )
        try:
            data = _body(response, self.server)
        finally:
            response.release_conn()
        if not 200 <= response.status < 300:  # noqa: PLR2004
            _refuse(response.status, data)
        try:
            document = json.loads(data)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ApiError(None, "BadAnswer", f"{self.server} answered with something that is no JSON object")
        return document

    def _send(  # noqa: PLR0913
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | list[Json] | None = None,
        content_type: str = "application/json",
        metadata_only: bool = False,
        read_seconds: float = READ_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        """Send, and send again once: after a 401 with credentials read anew, after a Retry-After when it has passed."""
        url = path + ("?" + urlencode(params) if params else "")
        payload = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {
            "Accept": _accept(method) if metadata_only else "application/json",
            "User-Agent": f"sockaudit/{__version__}",
        }
        if self._access.impersonate is not None:
            headers["Impersonate-User"] = self._access.impersonate
        if payload is not None:
            headers["Content-Type"] = content_type
        response = self._send_once(method, url, headers, payload, read_seconds)
        if response.status == 401:  # noqa: PLR2004
            response.close()
            self._server = _found(self._find)
            return self._send_once(method, url, headers, payload, read_seconds)
        wait = _retry_after(response)
        if wait is not None:
            response.close()
            self._pause(wait)
            return self._send_once(method, url, headers, payload, read_seconds)
        return response

    def _send_once(
        self, method: str, url: str, headers: Mapping[str, str], payload: bytes | None, read_seconds: float
    ) -> urllib3.BaseHTTPResponse:
        server = self._server
        try:
            return server.pool.request(
                method,
                server.url + url,
                body=payload,
                headers={**headers, **server.credentials()},
                timeout=urllib3.Timeout(
                    connect=self._access.seconds or CONNECT_SECONDS, read=self._access.seconds or read_seconds
                ),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except NoConfigError as error:
            raise _no_config(error) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            seconds = self._access.seconds or CONNECT_SECONDS
            raise ApiError(None, "NoAnswer", _no_answer(self.server, error, seconds)) from None


def connect(
    context: str | None = None,
    kubeconfig: str | None = None,
    pause: Callable[[float], object] = time.sleep,
    access: Access | None = None,
) -> Client:
    """Find the cluster: a named context or file, else the pod's own service account, else the default kubeconfig.

    Raises:
        ApiError: `NoConfig`; no configuration that could be read. No request is sent yet.
    """
    access = access or Access(context, kubeconfig)
    return Client(partial(_server_for, access), pause, access)


def _server_for(access: Access) -> Server:
    """Find it: by the pod's own service account inside of a cluster, unless a context or a file is named."""
    named = (access.context, access.kubeconfig, access.cluster, access.user, access.server)
    if inside() and not any(named):
        return of_this_pod()
    from auditor.kube import kubeconfig  # noqa: PLC0415 - 9 MiB

    return kubeconfig.server(access)


def _found(find: Callable[[], Server]) -> Server:
    try:
        return find()
    except NoConfigError as error:
        raise _no_config(error) from None


def _no_config(error: NoConfigError) -> ApiError:
    return ApiError(None, "NoConfig", f"no usable cluster configuration: {_one_line(error)}")


def _accept(method: str) -> str:
    return _METADATA_OF_ITEMS if method == "GET" else _METADATA_ONLY


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds the server asks to wait (RFC 9110, 10.2.3), bounded; `None` unless it refused for being busy."""
    if response.status not in (429, 503):
        return None
    value = response.headers.get("Retry-After")
    if value is None:
        return 1.0 if response.status == 429 else None  # noqa: PLR2004
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 1.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS) if seconds == seconds else 1.0  # noqa: PLR0124


def _body(response: urllib3.BaseHTTPResponse, server: str) -> bytes:
    try:
        data = response.read(_LARGEST_REPLY + 1)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ApiError(None, "NoAnswer", _no_answer(server, error)) from None
    if len(data) > _LARGEST_REPLY:
        response.close()
        raise ApiError(None, "BadAnswer", f"{server} sent more than {_LARGEST_REPLY >> 20} MiB")
    return data


def _refuse(status: int, data: bytes) -> NoReturn:
    """Raise what the server's Status document says.

    A server that does not know the resource answers 404 with plain text, or with a Status that names no object; one
    that knows it but lacks the object names it in `details`.
    """
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    known = document if isinstance(document, dict) and document.get("kind") == "Status" else {}
    details = known.get("details")
    named = isinstance(details, dict) and bool(details.get("name"))
    reason = str(known.get("reason") or "")
    if status == 404 and not named:  # noqa: PLR2004
        reason = "NoResource"
    message = str(known.get("message") or "") or data[:_MOST_WORDS].decode(errors="replace") or "no explanation"
    raise ApiError(status, reason or "Refused", message)


def _no_answer(server: str, error: Exception, seconds: float = CONNECT_SECONDS) -> str:
    match error:
        case urllib3.exceptions.NewConnectionError() | ConnectionRefusedError():
            cause = _one_line(error.__cause__ or error)
        case urllib3.exceptions.ConnectTimeoutError():
            cause = f"timed out after {seconds:g} s"
        case urllib3.exceptions.ReadTimeoutError():
            cause = "connected, then silent"
        case _:
            cause = _one_line(error)
    return f"no cluster answered at {server} ({cause})"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
