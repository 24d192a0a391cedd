"""Writes this node's own object and its events. Knows the verbs, not the shapes."""

from collections.abc import Mapping
from urllib.parse import quote

from auditor.kube.client import ApiError, Client, Json
from auditor.kube.node import CHOSEN_LABELS, read_node
from auditor.model import NodeInfo

NOT_FOUND = 404
CONFLICT = 409


class NodeGoneError(Exception):
    """There is no Node of this name: its object would be collected at once, so it is not made."""


class ObjectWriter:
    """The SockAudit of one node.

    It is read once, at start; later every write is a PATCH of its status, whose reply shows whether it is paused.

    Attributes:
        paused: `spec.paused` as last seen.
        labels: those of `CHOSEN_LABELS` that the object carried when last seen.
    """

    def __init__(self, client: Client, node: str, api: str, kind: str, plural: str) -> None:
        """Name the object.

        Args:
            client: the cluster.
            node: name of the node and of the object.
            api: group and version, as in `apiVersion`.
            kind: of the object.
            plural: as it stands in paths.
        """
        self._client = client
        self._node = node
        self._api = api
        self._kind = kind
        self._collection = f"/apis/{api}/{plural}"
        self._path = f"{self._collection}/{quote(node, safe='')}"
        self.paused = False
        self.labels: dict[str, str] = {}

    def read(self) -> Json | None:
        """GET the object.

        Returns:
            `None` when there is none yet.

        Raises:
            ApiError: the API is away or refuses, or the definition is not installed.
        """
        try:
            document = self._client.get(self._path)
        except ApiError as error:
            if error.status == NOT_FOUND and error.reason != "NoResource":
                self._look({})  # what is not there asks for no pause
                return None
            raise
        self._look(document)
        return document

    def write(self, status: Mapping[str, object]) -> None:
        """Replace the status; make the object when it is not there.

        Raises:
            ApiError: the API is away or refuses.
            NodeGoneError: there is no Node to own the object.
        """
        try:
            document = self._patch(status)
        except ApiError as error:
            if error.status != NOT_FOUND or error.reason == "NoResource":
                raise
            self._create()
            document = self._patch(status)
        self._look(document)

    def label(self, node: NodeInfo) -> None:
        """Copy the node's chosen labels to the object, and take away those that the node has lost."""
        labels: dict[str, str | None] = {key: node.labels.get(key) for key in CHOSEN_LABELS}
        try:
            self._look(self._client.patch(self._path, {"metadata": {"labels": labels}}))
        except ApiError as error:
            if error.status != NOT_FOUND:  # deleted meanwhile: the next write makes it anew, with the labels
                raise

    def _patch(self, status: Mapping[str, object]) -> Json:
        # A JSON patch replaces the whole: a merge would leave what has become unknown standing.
        operation = {"op": "add", "path": "/status", "value": dict(status)}
        return self._client.patch(f"{self._path}/status", [operation], content_type="application/json-patch+json")

    def _create(self) -> None:
        node = read_node(self._client, self._node)
        if node is None or node.uid is None:
            raise NodeGoneError(self._node)
        owner = {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.uid, "blockOwnerDeletion": False}
        metadata = {"name": node.name, "labels": dict(node.labels), "ownerReferences": [owner]}
        body: Json = {"apiVersion": self._api, "kind": self._kind, "metadata": metadata}
        try:
            self._client.create(self._collection, body, metadata_only=True)
        except ApiError as error:
            if error.status != CONFLICT:
                raise

    def _look(self, document: Json) -> None:
        spec = document.get("spec")
        self.paused = isinstance(spec, dict) and spec.get("paused") is True
        labels = document.get("metadata", {}).get("labels") or {}
        self.labels = {key: labels[key] for key in CHOSEN_LABELS if key in labels}


class EventWriter:
    """Events of the API group events.k8s.io."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, namespace: str, body: Json) -> None:
        """Create an event. One of the same name says the same: that is no error.

        Raises:
            ApiError: the API is away or refuses.
        """
        try:
            self._client.create(_events(namespace), body, metadata_only=True)
        except ApiError as error:
            if error.status != CONFLICT:
                raise

    def refresh(self, namespace: str, name: str, series: Json, body: Json) -> None:
        """Add to the series of an event; make it again where it has expired.

        Raises:
            ApiError: the API is away or refuses.
        """
        try:
            self._client.patch(f"{_events(namespace)}/{quote(name, safe='')}", series, metadata_only=True)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            self.create(namespace, body)


def _events(namespace: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{quote(namespace, safe='')}/events"
