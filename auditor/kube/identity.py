"""A pod's document becomes a PodIdentity. Pure; a document may hold anything, so every field is checked."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final

from auditor.model import PodIdentity
from auditor.model.words import bounded, clean

_CONFIG_HASH: Final = re.compile(r"[0-9a-f]{32}")
_LONGEST_NAME: Final = 253  # DNS subdomain, what the API allows for names.
_MOST_CONTAINERS: Final = 512
_MOST_ADDRESSES: Final = 8
_MOST_WISHES: Final = 64
_OURS: Final = "sockaudit.io/"
_STATUS_LISTS: Final = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def identify(pod: Mapping[str, Any]) -> tuple[str, PodIdentity] | None:
    """Name one pod.

    Source: core/v1 Pod.

    Returns:
        The uid as the pod's cgroup carries it, and its identity; `None` for a document without the needed names.
    """
    metadata = _mapping(pod.get("metadata"))
    namespace, name, uid = (_text(metadata.get(key)) for key in ("namespace", "name", "uid"))
    if not (namespace and name and uid):
        return None
    host_network = _mapping(pod.get("spec")).get("hostNetwork") is True
    status = _mapping(pod.get("status"))
    identity = PodIdentity(
        namespace=namespace,
        name=name,
        uid=uid,
        workload=_workload(metadata),
        host_network=host_network,
        containers=dict(_containers(status)),
        addresses=() if host_network else tuple(_addresses(status)),
        wishes=dict(_wishes(metadata)),
    )
    return _config_hash(metadata) or uid, identity


def _config_hash(metadata: Mapping[str, Any]) -> str | None:
    """What stands in a static pod's cgroup in place of a uid; `None` for other pods.

    Anyone who may create a pod may annotate it, so the mark of the mirror pod and its owner, the Node, are asked for
    too: a node's own admission plugin grants those to the kubelet alone.
    """
    annotations = _mapping(metadata.get("annotations"))
    value = annotations.get("kubernetes.io/config.hash")
    if not isinstance(value, str) or not _CONFIG_HASH.fullmatch(value):
        return None
    if "kubernetes.io/config.mirror" not in annotations:
        return None
    return value if any(owner.get("kind") == "Node" for owner in _list(metadata.get("ownerReferences"))) else None


def _workload(metadata: Mapping[str, Any]) -> tuple[str, str] | None:
    """The top owner as far as the pod itself tells: a ReplicaSet made by a Deployment names it by its hash label."""
    owners = _list(metadata.get("ownerReferences"))
    owner = next((each for each in owners if each.get("controller") is True), owners[0] if owners else None)
    if owner is None:
        return None
    kind, name = _text(owner.get("kind")), _text(owner.get("name"))
    if not kind or not name or kind == "Node":
        return None
    template = _text(_mapping(metadata.get("labels")).get("pod-template-hash"))
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}") and len(name) > len(template) + 1:
        return "Deployment", name.removesuffix(f"-{template}")
    return kind, name


def _containers(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(bare id, name) of containers of every sort, the one before the last restart included: it may still be dying."""
    statuses = [each for key in _STATUS_LISTS for each in _list(status.get(key))]
    for each in statuses[:_MOST_CONTAINERS]:
        name = _text(each.get("name"))
        ended = _mapping(_mapping(each.get("lastState")).get("terminated"))
        for value in (ended.get("containerID"), each.get("containerID")):
            # `containerd://<id>`; empty until the container exists.
            bare = _text(value).rpartition("://")[2]
            if name and bare:
                yield bare, name


def _addresses(status: Mapping[str, Any]) -> Iterator[str]:
    """Addresses of the pod, each in the one spelling that the kernel's are written in too."""
    for each in _list(status.get("podIPs"))[:_MOST_ADDRESSES]:
        with suppress(ValueError):
            yield str(ip_address(_text(each.get("ip"))))


def _wishes(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The pod's annotations that are meant for this program."""
    annotations = _mapping(metadata.get("annotations"))
    ours = sorted(key for key in annotations if isinstance(key, str) and key.startswith(_OURS))
    for key in ours[:_MOST_WISHES]:
        yield _text(key.removeprefix(_OURS)), _text(annotations[key])


def _text(value: object) -> str:
    return bounded(clean(value), _LONGEST_NAME) if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
