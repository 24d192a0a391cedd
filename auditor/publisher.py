"""The agent's side towards the cluster: its own object and the events of findings, when there is reason to."""

import contextlib
import logging
import time

from auditor import journal
from auditor.kube.client import ApiError, Client
from auditor.kube.node import read_node
from auditor.kube.writer import EventWriter, NodeGoneError, ObjectWriter
from auditor.model import Assessment, Finding, NodeInfo, Severity
from auditor.publish import cadence
from auditor.publish import object as shape
from auditor.publish.events import Message, Outbox
from auditor.publish.metrics import Metrics
from auditor.publish.restore import Restored, restore
from auditor.remember import History

LOG = logging.getLogger(__name__)
NODE_REFRESH_SECONDS = 3600.0
NODE_RETRY_SECONDS = 300.0  # where it may not be read
DELIVERY_SECONDS = (
    20.0  # of a turn, after which the rest waits for the next: a slow API must not look like a hung agent
)
# An API server that has just started refuses what it allows a second later, when it knows all roles.
_FORBIDDEN = 403
_REFUSED = frozenset({400, _FORBIDDEN, 404, 409, 413, 422})


class Publisher:
    """Writes to the cluster when there is reason to. An API that is away costs one attempt a turn, and nothing is lost.

    Attributes:
        conditions: as last written or restored; their transition times go on.
        node: what the API says of this node.
        has_written: whether the object was written at least once.
    """

    def __init__(self, client: Client, node: str, metrics: Metrics, states: journal.States) -> None:
        self._client = client
        self._object = ObjectWriter(client, node, f"{shape.GROUP}/{shape.VERSION}", shape.KIND, shape.PLURAL)
        self._events = EventWriter(client)
        self._outbox = Outbox(node)
        self._metrics = metrics
        self._states = states
        self._restored = False
        self._latest: shape.Status | None = None
        self._written: cadence.Written | None = None
        self._node_due = 0.0
        self.conditions: tuple[dict[str, object], ...] = ()
        self.node = NodeInfo(node)
        self.has_written = False

    @property
    def paused(self) -> bool:
        """Whether `spec.paused` asked for silence when the object was last seen."""
        return self._object.paused

    def look_whether_paused(self) -> bool:
        """Say whether to be silent. While that is so, the object is read each turn to see the end of it."""
        if self._object.paused:
            with contextlib.suppress(ApiError):
                self._object.read()
        return self._object.paused

    def take_up(self, history: History) -> History:
        """Go on where an earlier life of the agent stopped; tried until the API has answered once."""
        try:
            self._refresh_node(time.monotonic())
            document = None if self._restored else self._object.read()
        except ApiError as error:
            self._away(error)
            return history
        if self._restored:
            return history
        self._restored = True
        restored = restore(document.get("status")) if document else Restored()
        self.conditions = tuple(dict(one) for one in restored.conditions)
        self._outbox.restore(restored.findings, time.time())
        if restored.dropped:
            LOG.warning("%d entries of the object could not be restored", restored.dropped)
        return history.take_up(restored.findings, restored.peaks, restored.fds_peaks)

    def publish(self, status: shape.Status, assessment: Assessment) -> None:
        """Write the object and send events, each if it is time to. What is refused of one holds up no other."""
        if not self._restored:
            return  # whether a finding is new cannot be known yet
        self._latest = status
        dropped = self._outbox.add(assessment.events, _without_info(assessment.findings), time.time())
        if dropped:
            self._metrics.events.labels(result="dropped").inc(dropped)
        until = time.monotonic() + DELIVERY_SECONDS
        try:
            written = self._write_if_due(status)
            self._send(until)
            if written and time.monotonic() < until:
                self._label()
        except ApiError as error:
            self._away(error)
        else:
            self._states.fine("API")

    def finish(self) -> None:
        """Write what the pause between two writes held back: the next life takes findings up from the object."""
        if self._latest is None or self._written is None or self._object.paused:
            return
        if cadence.essence(self._latest) != self._written.essence:
            with contextlib.suppress(ApiError, NodeGoneError):
                self._write(self._latest, time.monotonic())

    def _write_if_due(self, status: shape.Status) -> bool:
        """Return whether it was written.

        Raises:
            ApiError: the API is away.
        """
        now = time.monotonic()
        if not cadence.due(self._written, status, self.node.name, now):
            return False
        try:
            self._write(status, now)
        except NodeGoneError:
            self._states.trouble("node", f"the Node {self.node.name} does not exist, so its SockAudit is not written")
            return False
        except ApiError as error:
            self._metrics.writes.labels(result="failed").inc()
            if error.status not in _REFUSED:
                raise
            self._states.trouble("object", f"its status is refused: {_words(error)}")
            return False
        return True

    def _write(self, status: shape.Status, now: float) -> None:
        try:
            self._object.write(shape.plain(status))
        except NodeGoneError:
            # The next attempt waits for the heartbeat: nothing that happens here changes whether there is a Node.
            self._written = cadence.Written(now, cadence.essence(status))
            raise
        self._written = cadence.Written(now, cadence.essence(status), first=self._written is None)
        self.conditions = tuple(shape.plain(condition) for condition in status.conditions)
        self.has_written = True
        self._metrics.writes.labels(result="ok").inc()
        self._states.fine("node")
        self._states.fine("object")

    def _refresh_node(self, now: float) -> None:
        if now < self._node_due:
            return
        try:
            node = read_node(self._client, self.node.name)
        except ApiError as error:
            if error.status not in _REFUSED:
                raise
            self._states.trouble(
                "node labels", f"the Node cannot be read, so its labels and image are unknown: {error}"
            )
            self._node_due = now + NODE_RETRY_SECONDS
        else:
            self._states.fine("node labels")
            if node is None:
                return  # asked for again at the next turn
            self.node = node
            self._node_due = now + NODE_REFRESH_SECONDS

    def _send(self, until: float) -> None:
        """Send one event at least, and more while there is time.

        Raises:
            ApiError: the API is away; the event is sent again at the next turn.
        """
        while one := self._outbox.next(time.time()):
            try:
                self._deliver(one)
            except ApiError as error:
                self._metrics.events.labels(result="failed").inc()
                if error.status not in _REFUSED:
                    raise
                self._states.trouble("events", f"refused: {error}")
                self._was_refused(error)
            else:
                self._metrics.events.labels(result="ok").inc()
                self._states.fine("events")
                self._outbox.sent(time.time())
            if time.monotonic() >= until:
                return

    def _was_refused(self, error: ApiError) -> None:
        """Let go of what can never be sent, and try again later what may not be sent now."""
        if error.status != _FORBIDDEN:
            self._outbox.sent(time.time())
        elif self._outbox.refused(time.time()):
            self._metrics.events.labels(result="dropped").inc()

    def _deliver(self, one: Message) -> None:
        if one.count > 1:
            self._events.refresh(one.namespace, one.name, one.series(), one.body)
        else:
            self._events.create(one.namespace, one.body)

    def _label(self) -> None:
        """Copy the node's labels to the object, if they differ.

        Raises:
            ApiError: the API is away; they are copied after the next write.
        """
        if self.node.uid is None or self._object.labels == self.node.labels:
            return
        try:
            self._object.label(self.node)
        except ApiError as error:
            if error.status not in _REFUSED:
                raise
            self._states.trouble("labels", f"the object's are refused: {error}")
        else:
            self._states.fine("labels")

    def _away(self, error: ApiError) -> None:
        self._states.trouble("API", _words(error))


def _words(error: ApiError) -> str:
    if error.reason == "NoResource":
        return "it knows no SockAudit: install the CRD (helm value crd.install, or manifests/)"
    return str(error)


def _without_info(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is not Severity.INFO]
