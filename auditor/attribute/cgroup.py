"""From a process's cgroup paths to its owner. Pure text, no file is read here.

A path names a pod by a folder below one called kubepods. The kubelet's two drivers spell it differently
(pkg/kubelet/cm/cgroup_manager_linux.go):

    cgroupfs  /kubepods/burstable/pod<uid>/<container id>
    systemd   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope

On cgroup v1 and hybrid hosts the hierarchies may disagree, so every line is looked at and any that names a pod counts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from auditor.model import Owner, OwnerKind

_UUID = r"[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}"
_CONFIG_HASH = r"[0-9a-f]{32}"  # a static pod's cgroup carries the hash of its manifest in place of a uid
_POD = re.compile(rf"(?P<parents>.*-)?pod(?P<uid>{_UUID}|{_CONFIG_HASH})(?:\.slice)?")
_CONTAINER = re.compile(r"(?P<runtime>[a-z][a-z-]*-)?(?P<id>[0-9a-f]{64})(?:\.scope)?")
_COLONS = re.compile(
    r":([a-z][a-z-]*):(?=[0-9a-f]{64}$)"
)  # containerd's <slice>:<runtime>:<id> where it has no systemd
_UNIT = re.compile(r".+\.(?:service|scope)")
_NOT_A_CONTAINER = ("conmon", "buildkit")
_RUNTIMES = {
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
    "docker": "docker",
    "libpod": "podman",
}
_CLASSES = {"burstable": "Burstable", "besteffort": "BestEffort", "kubepods": "Guaranteed"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process lives: its owner and what else the path tells.

    Attributes:
        container: bare id.
        runtime: who made the container: containerd, cri-o, docker, podman.
        qos: the pod's class of service.
    """

    owner: Owner
    container: str | None = None
    runtime: str | None = None
    qos: str | None = None


HOST = Place(Owner(OwnerKind.HOST))


def locate(cgroups: Iterable[tuple[str, str]]) -> Place:
    """Return the owner that the lines of /proc/PID/cgroup name (cgroups(7)).

    Args:
        cgroups: (controllers, path) pairs in the kernel's order.

    Returns:
        A pod if any line names one (with its container if any line names that), else a container of another engine,
        else the outermost systemd unit, else the host.
    """
    paths = [[part for part in re.sub(_COLONS, r"/\1-", path).split("/") if part] for _, path in cgroups]
    pods = [place for parts in paths if (place := _pod(parts))]
    if pods:
        same = [place for place in pods if place.owner == pods[0].owner]
        named = next((place for place in same if place.container), pods[0])
        return replace(named, qos=next((place.qos for place in same if place.qos), None))
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
        container, runtime = _container(below)
        in_tree = any("kubepods" in parent for parent in parts[: index + 1])
        cut_off = parts[0] == ".."  # the reader's cgroup namespace hides the parents
        if in_tree or cut_off or container:
            parent = (match["parents"] or "/".join(parts[:index])).strip("-")
            qos = _CLASSES.get(re.split(r"[-/]", parent)[-1].removesuffix(".slice"))
            return Place(Owner(OwnerKind.POD, match["uid"].replace("_", "-")), container, runtime, qos)
    return None


def _container(part: str) -> tuple[str | None, str | None]:
    """Return the id of a container and who made it."""
    match = _CONTAINER.fullmatch(part)
    prefix = (match["runtime"] or "").removesuffix("-") if match else ""
    if not match or any(word in prefix for word in _NOT_A_CONTAINER):
        return None, None
    return match["id"], _RUNTIMES.get(prefix)


def _engine_container(parts: list[str]) -> Place | None:
    """Find the outermost container. Every engine names them by 64 hex digits, which nobody chooses by hand."""
    for parent, part in pairwise(["", *parts]):
        identity, runtime = _container(part)
        if identity:
            return Place(Owner(OwnerKind.CONTAINER, identity), identity, runtime or _RUNTIMES.get(parent))
    return None


def _unit(parts: list[str]) -> Place | None:
    unit = next((part for part in parts if _UNIT.fullmatch(part)), None)
    return Place(Owner(OwnerKind.UNIT, unit)) if unit else None
