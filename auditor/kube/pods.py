"""The pods of this node, kept by a watch in a thread of its own."""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from auditor.kube.client import ApiError, Client, Lines
from auditor.kube.identity import identify
from auditor.model import PodIdentity
from auditor.model.words import duration

_PODS: Final = "/api/v1/pods"
_PAGE: Final = 100
_MOST_PODS: Final = 5_000
_MOST_PAGES: Final = 100
_GONE: Final = 410

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the watch is, in seconds.

    Attributes:
        watch: how long the server is asked to hold one watch; up to a fifth more, so that nodes do not move in step.
        grace: how much longer a silent server is waited for.
        first_retry: the first wait after a failure; it doubles, with jitter.
        last_retry: the longest wait.
        steady: a watch that lasted this long was a success, and the next failure starts from the first wait.
    """

    watch: float = 300
    grace: float = 15
    first_retry: float = 1
    last_retry: float = 60
    steady: float = 10


class PodWatch:
    """Keeps who is who on one node. Its answers stay as they were while the API is away, and it says so.

    Pods that have ended are kept until they are deleted: their processes and sockets may linger.
    """

    def __init__(
        self,
        client: Client,
        node: str,
        pace: Pace = Pace(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._node = node
        self._pace = pace
        self._clock = clock
        self._lock = threading.Lock()
        self._pods: dict[str, PodIdentity] = {}
        self._key_of: dict[str, str] = {}  # API uid -> key, since a pod's key may differ from its uid
        self._version = ""
        self._listed = False
        self._synced = threading.Event()
        self._stop = threading.Event()
        self._lines: Lines | None = None
        self._last_heard: float | None = None
        self._failing: str | None = None
        self._thread = threading.Thread(target=self._run, name="pod-watch", daemon=True)

    def start(self) -> None:
        """Begin to list and watch."""
        self._thread.start()

    def stop(self, patience: float = 2.0) -> None:
        """End the thread; one that hangs in the network is left behind, as it may not keep the process alive."""
        self._stop.set()
        lines = self._lines
        if lines is not None:
            lines.close()
        if self._thread.is_alive():
            self._thread.join(patience)

    def wait_synced(self, seconds: float) -> bool:
        """Wait for the first whole list."""
        return self._synced.wait(seconds)

    @property
    def synced(self) -> bool:
        """Whether a whole list has been read since the start."""
        return self._synced.is_set()

    @property
    def trouble(self) -> str | None:
        """Why names may be missing or old; `None` while the watch holds."""
        failing, heard = self._failing, self._last_heard
        if failing is not None and heard is not None:
            return f"{failing}; last heard of {duration(self._clock() - heard)} ago"
        if failing is not None:
            return failing
        return None if self.synced else "the API has not listed the pods of this node yet"

    def snapshot(self) -> Mapping[str, PodIdentity]:
        """Return the pods known now, by the uid that their cgroup carries."""
        with self._lock:
            return dict(self._pods)

    def _run(self) -> None:
        wait = self._pace.first_retry
        while not self._stop.is_set():
            began = self._clock()
            try:
                if not self._listed:
                    self._list()
                self._watch()
                ended_early = self._clock() - began < min(self._pace.steady, self._pace.watch / 2)
                trouble = f"{self._client.server} ends every watch at once" if ended_early else None
            except ApiError as error:
                trouble = str(error)
                if error.status == _GONE or error.reason == "Expired":
                    # What was seen is too old to go on from: list again. The pods stay until the new list is whole.
                    self._listed, trouble = False, None
            except Exception:  # noqa: BLE001 - the thread must outlive whatever a document holds
                _log.exception("pod watch failed unexpectedly; listing again")
                self._listed, trouble = False, "the pod watch failed unexpectedly"
            if self._stop.is_set():
                return
            if self._clock() - began >= self._pace.steady:
                wait = self._pace.first_retry
            self._tell(trouble)
            if trouble is not None or not self._listed:
                self._stop.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                wait = min(wait * 2, self._pace.last_retry)

    def _tell(self, trouble: str | None) -> None:
        """Log when the API goes away, and nothing while it stays so."""
        if trouble is not None and self._failing is None:
            _log.warning("pod names may grow old: %s", trouble)
        if trouble is not None:
            self._failing = trouble

    def _heard(self) -> None:
        self._last_heard = self._clock()
        if self._failing is not None:
            self._failing = None
            _log.info("pod names are fresh again")

    def _list(self) -> None:
        """Read all pods of the node, from the server's cache, in pages where it pages."""
        found: dict[str, tuple[str, PodIdentity]] = {}
        params = self._selection() | {"resourceVersion": "0", "limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            document = self._client.get(_PODS, params)
            metadata = _mapping(document.get("metadata"))
            for pod in document.get("items") or ():
                named = identify(pod) if isinstance(pod, dict) else None
                if named is not None and len(found) < _MOST_PODS:
                    found[named[1].uid] = named
            token = metadata.get("continue")
            if not token:
                break
            # A token carries its own version; both together are refused.
            params = self._selection() | {"limit": str(_PAGE), "continue": str(token)}
        with self._lock:
            self._pods = dict(found.values())
            self._key_of = {uid: key for uid, (key, _) in found.items()}
        self._version = str(metadata.get("resourceVersion") or "0")
        self._listed = True
        self._heard()
        self._synced.set()

    def _watch(self) -> None:
        """Follow changes until the server ends the watch.

        Raises:
            ApiError: the server is away, silent, or says that the version is too old (410).
        """
        seconds = self._pace.watch * random.uniform(1.0, 1.2)  # noqa: S311 - jitter, not a secret
        params = self._selection() | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        with self._client.stream(_PODS, params, seconds + self._pace.grace) as lines:
            self._lines = lines
            try:
                # The stop may have come before there was anything to close.
                if self._stop.is_set():
                    return
                self._heard()
                for event_type, item in _events(lines):
                    self._heard()
                    self._apply(event_type, item)
            finally:
                self._lines = None

    def _apply(self, event_type: str, item: Mapping[str, Any]) -> None:
        if event_type == "ERROR":
            code = item.get("code")
            self._listed = False
            raise ApiError(code if isinstance(code, int) else 500, str(item.get("reason")), str(item.get("message")))
        metadata = _mapping(item.get("metadata"))
        named = identify(item) if event_type != "BOOKMARK" else None
        with self._lock:
            if named is not None and event_type in ("ADDED", "MODIFIED"):
                key, identity = named
                if identity.uid in self._key_of or len(self._pods) < _MOST_PODS:
                    self._pods[key], self._key_of[identity.uid] = identity, key
            elif named is not None and event_type == "DELETED":
                key = self._key_of.pop(named[1].uid, named[0])
                # A static pod that was changed keeps its key while its mirror pod is replaced.
                if key in self._pods and self._pods[key].uid == named[1].uid:
                    del self._pods[key]
        version = metadata.get("resourceVersion")
        if isinstance(version, str) and version:
            self._version = version

    def _selection(self) -> dict[str, str]:
        return {"fieldSelector": f"spec.nodeName={self._node}"}


def _events(lines: Lines) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Watch events (type, object).

    Raises:
        ApiError: a line that is none.
    """
    for line in lines:
        document = None
        with suppress(ValueError):
            document = json.loads(line)
        if not isinstance(document, dict) or not isinstance(document.get("object"), dict):
            raise ApiError(None, "BadAnswer", "the watch sent a line that is no event")
        yield str(document.get("type")), document["object"]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
