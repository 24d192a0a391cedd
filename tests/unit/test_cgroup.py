import pytest

from auditor.attribute import locate
from auditor.model import Owner, OwnerKind

UID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
SLICE = UID.replace("-", "_")
HASH = "0123456789abcdef0123456789abcdef"
CID = "ab" * 32
OTHER = "cd" * 32


def pod(uid: str = UID) -> Owner:
    return Owner(OwnerKind.POD, uid)


CASES = {
    "cgroupfs besteffort": (f"/kubepods/besteffort/pod{UID}/{CID}", pod(), CID),
    "cgroupfs guaranteed": (f"/kubepods/pod{UID}/{CID}", pod(), CID),
    "cgroupfs static pod": (f"/kubepods/burstable/pod{HASH}/{CID}", pod(HASH), CID),
    "systemd burstable": (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{SLICE}.slice/cri-containerd-{CID}.scope",
        pod(),
        CID,
    ),
    "systemd guaranteed": (f"/kubepods.slice/kubepods-pod{SLICE}.slice/cri-containerd-{CID}.scope", pod(), CID),
    "systemd static pod": (
        f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{HASH}.slice/cri-containerd-{CID}.scope",
        pod(HASH),
        CID,
    ),
    "containerd's colon form": (
        f"/system.slice/containerd.service/kubepods-burstable-pod{SLICE}.slice:cri-containerd:{CID}",
        pod(),
        CID,
    ),
    "kind, a node in docker": (f"/docker/{OTHER}/kubelet/kubepods/besteffort/pod{UID}/{CID}", pod(), CID),
    "kubelet's own slice": (
        f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{SLICE}.slice/cri-containerd-{CID}.scope",
        pod(),
        CID,
    ),
    "seen from inside a cgroup namespace": (f"/../../pod{UID}/{CID}", pod(), CID),
    "a shim in the pod's cgroup": (f"/kubepods/besteffort/pod{UID}", pod(), None),
    "conmon is no container": (
        f"/kubepods.slice/kubepods-pod{SLICE}.slice/crio-conmon-{CID}.scope",
        pod(),
        None,
    ),
    "a container nested in the pod's container": (f"/kubepods/pod{UID}/{CID}/docker/{OTHER}", pod(), CID),
    "a node run in a pod": (f"/kubepods/pod{UID}/{CID}/kubelet/kubepods/pod{HASH}/{OTHER}", pod(), CID),
    "a unit": ("/system.slice/containerd.service", Owner(OwnerKind.UNIT, "containerd.service"), None),
    "a unit with delegated children": ("/system.slice/a.service/b.scope", Owner(OwnerKind.UNIT, "a.service"), None),
    "init": ("/init.scope", Owner(OwnerKind.UNIT, "init.scope"), None),
    "docker, cgroupfs": (f"/docker/{CID}", Owner(OwnerKind.CONTAINER, CID), CID),
    "docker, systemd": (f"/system.slice/docker-{CID}.scope", Owner(OwnerKind.CONTAINER, CID), CID),
    "podman": (f"/machine.slice/libpod-{CID}.scope", Owner(OwnerKind.CONTAINER, CID), CID),
    "the root": ("/", Owner(OwnerKind.HOST), None),
    "nothing at all": ("", Owner(OwnerKind.HOST), None),
    "a folder that only looks like a pod": (f"/user.slice/pod{UID}", Owner(OwnerKind.HOST), None),
    "a pod's name cut short": ("/kubepods/besteffort/pod0f1e2d3c", Owner(OwnerKind.HOST), None),
}


@pytest.mark.parametrize(("path", "owner", "container"), CASES.values(), ids=CASES)
def test_a_path_names_its_owner(path: str, owner: Owner, container: str | None) -> None:
    place = locate([("", path)])
    assert (place.owner, place.container) == (owner, container)


def test_any_line_that_names_a_pod_counts() -> None:
    place = locate([("pids", "/"), ("memory", "/system.slice/x.service"), ("", f"/kubepods/pod{UID}/{CID}")])
    assert (place.owner, place.container) == (pod(), CID)


def test_the_container_may_stand_in_another_hierarchy_than_the_pod() -> None:
    place = locate([("pids", f"/kubepods/pod{UID}"), ("memory", f"/kubepods/pod{UID}/{CID}")])
    assert (place.owner, place.container) == (pod(), CID)
