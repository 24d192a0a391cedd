"""What the plugin reads of a cluster."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from auditor.cluster import OBJECTS, advice
from auditor.kube.access import Access
from auditor.kube.client import ApiError, Client, connect
from auditor.kube.kubeconfig import namespace
from auditor.kube.paging import items
from auditor.model import CommandError
from auditor.model.words import bounded, clean
from auditor.publish import object as shape

_NOT_FOUND = 404
_DEFAULT = "default"


class PluginError(CommandError):
    """Nothing can be shown. The text is one line for a person, with what to do."""


class Cluster:
    """Answers about objects. Every failure is a `PluginError`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        try:
            self.client: Client = connect(access=access)
        except ApiError as error:
            raise PluginError(advice(error)) from None

    def namespace(self) -> str:
        """Return the namespace that kubectl would use."""
        return namespace(self._access) or _DEFAULT

    def node_of(self, namespace: str, pod: str) -> str:
        """Return the node that a pod runs on."""
        shown = f"pod {clean(namespace)}/{clean(pod)}"
        try:
            found = self.client.get(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}")
        except ApiError as error:
            if error.status == _NOT_FOUND:
                raise PluginError(
                    f"{shown} does not exist. kubectl get pods -n {clean(namespace)} lists them."
                ) from None
            raise PluginError(advice(error)) from None
        node = _mapping(found.get("spec")).get("nodeName")
        if not isinstance(node, str) or not node:
            raise PluginError(f"{shown} is not scheduled yet, so no node has audited it.")
        return node

    def pods_of(self, namespace: str | None, selector: str) -> set[tuple[str, str]]:
        """Return (namespace, name) of the pods that have some labels."""
        where = "" if namespace is None else f"/namespaces/{quote(namespace, safe='')}"
        try:
            found = items(self.client, f"/api/v1{where}/pods", "pods", metadata_only=True, selector=selector)
            about = [_mapping(one.get("metadata")) for one in found]
        except ApiError as error:
            raise PluginError(advice(error)) from None
        return {(str(one.get("namespace")), str(one.get("name"))) for one in about}

    def status(self, node: str) -> shape.Status:
        """Return what a node said last."""
        shown = bounded(clean(node), 253)
        try:
            found = self.client.get(f"{OBJECTS}/{quote(node, safe='')}")
        except ApiError as error:
            if error.status == _NOT_FOUND and error.reason != "NoResource":
                raise PluginError(
                    f"no SockAudit of node {shown}. kubectl get sockaudits lists those that report."
                ) from None
            raise PluginError(advice(error)) from None
        if not found.get("status"):
            raise PluginError(f"node {shown} has not reported yet: see the agent's pod in its namespace.")
        try:
            return shape.Status.model_validate(found["status"])
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise PluginError(f"the status of {shown} is of another version ({bounded(clean(where), 100)}).") from None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
