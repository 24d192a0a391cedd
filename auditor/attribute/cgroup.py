"""From a process's cgroup paths to its owner. Pure text, no file is read here.

A path names a pod by a folder below one called kubepods. The kubelet's two drivers spell it differently
(pkg/kubelet/cm/cgroup_manager_linux.go):

    cgroupfs  /kubepods/burstable/pod<uid>/<container id>
    systemd   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope

On cgroup v1 and hybrid hosts the hierarchies may disagree, so every line is looked at and any that names a pod counts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from auditor.model import Owner, OwnerKind

_UUID = r"[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}"
_CONFIG_HASH = r"[0-9a-f]{32}"  # a static pod's cgroup carries the hash of its manifest in place of a uid
_POD = re.compile(rf"(?P<parents>.*-)?pod(?P<uid>{_UUID}|{_CONFIG_HASH})(?:\.slice)?")
_CONTAINER = re.compile(r"(?P<runtime>[a-z][a-z-]*-)?(?P<id>[0-9a-f]{64})(?:\.scope)?")
_SEPARATOR = re.compile(r"/|:[a-z][a-z-]*:")  # containerd writes <slice>:<runtime>:<id> where it has no systemd
_UNIT = re.compile(r".+\.(?:service|scope)")
_NOT_A_CONTAINER = ("conmon", "buildkit")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process lives: its owner and, where the path tells, the bare id of its container."""

    owner: Owner
    container: str | None = None


HOST = Place(Owner(OwnerKind.HOST))


def locate(cgroups: Iterable[tuple[str, str]]) -> Place:
    """Return the owner that the lines of /proc/PID/cgroup name (cgroups(7)).

    Args:
        cgroups: (controllers, path) pairs in the kernel's order.

    Returns:
        A pod if any line names one (with its container if any line names that), else a container of another engine,
        else the outermost systemd unit, else the host.
    """
    paths = [[part for part in re.split(_SEPARATOR, path) if part] for _, path in cgroups]
    pods = [place for parts in paths if (place := _pod(parts))]
    if pods:
        uid = pods[0].owner.id
        return next((place for place in pods if place.owner.id == uid and place.container), pods[0])
    for find in (_engine_container, _unit):
        for parts in paths:
            if place := find(parts):
                return place
    return HOST


def _pod(parts: list[str]) -> Place | None:
    """Find the outermost pod: one nested inside (a node run in a pod) is that pod's own business."""
    for index, part in enumerate(parts):
        match = _POD.fullmatch(part)
        if not match:
            continue
        below = parts[index + 1] if index + 1 < len(parts) else ""
        container = _container_id(below)
        in_tree = any("kubepods" in parent for parent in parts[: index + 1])
        cut_off = parts[0] == ".."  # the reader's cgroup namespace hides the parents
        if in_tree or cut_off or container:
            return Place(Owner(OwnerKind.POD, match["uid"].replace("_", "-")), container)
    return None


def _container_id(part: str) -> str | None:
    match = _CONTAINER.fullmatch(part)
    if not match or any(word in (match["runtime"] or "") for word in _NOT_A_CONTAINER):
        return None
    return match["id"]


def _engine_container(parts: list[str]) -> Place | None:
    """Find the outermost container. Every engine names them by 64 hex digits, which nobody chooses by hand."""
    identity = next((identity for part in parts if (identity := _container_id(part))), None)
    return Place(Owner(OwnerKind.CONTAINER, identity), identity) if identity else None


def _unit(parts: list[str]) -> Place | None:
    unit = next((part for part in parts if _UNIT.fullmatch(part)), None)
    return Place(Owner(OwnerKind.UNIT, unit)) if unit else None
