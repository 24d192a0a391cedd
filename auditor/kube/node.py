"""This node, as the API describes it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from auditor.kube.client import ApiError, Client
from auditor.model import NodeInfo
from auditor.model.words import bounded, clean

# What capacity is planned by: the zone, the machine type and the pool, as the common providers name it.
CHOSEN_LABELS: Final = (
    "topology.kubernetes.io/zone",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/pool",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
    "karpenter.sh/nodepool",
)

_LONGEST: Final = 253
_NOT_FOUND: Final = 404


def read_node(client: Client, name: str, chosen: Iterable[str] = CHOSEN_LABELS) -> NodeInfo | None:
    """GET the Node.

    Returns:
        `None` when no such Node exists.

    Raises:
        ApiError: the API is away or refuses.
    """
    try:
        document = client.get(f"/api/v1/nodes/{quote(name, safe='')}")
    except ApiError as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    return node_info(document, name, chosen)


def node_info(document: Mapping[str, Any], name: str, chosen: Iterable[str] = CHOSEN_LABELS) -> NodeInfo:
    """Keep what is wanted of a core/v1 Node."""
    metadata, status = _mapping(document.get("metadata")), _mapping(document.get("status"))
    labels, about = _mapping(metadata.get("labels")), _mapping(status.get("nodeInfo"))
    pods = str(_mapping(status.get("allocatable")).get("pods", ""))
    return NodeInfo(
        name=name,
        uid=_text(metadata.get("uid")),
        os_image=_text(about.get("osImage")),
        runtime=_text(about.get("containerRuntimeVersion")),
        pods_allocatable=int(pods) if pods.isascii() and pods.isdigit() else None,
        labels={key: value for key in chosen if isinstance(value := labels.get(key), str)},
        all_labels={key: value for key, value in labels.items() if isinstance(value, str)},
    )


def _text(value: object) -> str | None:
    return bounded(clean(value), _LONGEST) if isinstance(value, str) and value else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
