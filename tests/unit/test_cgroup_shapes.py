"""Every shape through the parser alone, and all of them as one recorded tree through the command."""

import json
import subprocess
import sys
from typing import Any

import pytest
from cgroup_shapes import HASH, SHAPES, UID, Shape

from auditor.attribute import locate
from auditor.kernel.procfs import cgroup

FIRST_PID = 100
STAT = "{pid} (app) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0\n"


def test_there_are_enough_of_them_and_each_once() -> None:
    assert len(SHAPES) >= 80
    assert len({shape.name for shape in SHAPES}) == len(SHAPES)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_names_its_owner(shape: Shape) -> None:
    place = locate(cgroup.parse(shape.text.encode()))
    kind = place.owner.kind.value.lower()
    found = {
        "pod": (kind, place.owner.id, place.container),
        "container": (kind, place.container),
        "unit": (kind, place.owner.id),
    }.get(kind, (kind,))
    assert found == shape.owner


@pytest.mark.parametrize(
    ("name", "qos", "runtime"),
    [
        ("cgroupfs v1 guaranteed", "Guaranteed", None),
        ("cgroupfs v2 burstable", "Burstable", None),
        ("cgroupfs v1 besteffort", "BestEffort", None),
        ("systemd v1 guaranteed", "Guaranteed", "containerd"),
        ("systemd v2 besteffort", "BestEffort", "containerd"),
        ("the pod's own cgroup, systemd", "Burstable", None),
        ("static, CRI-O", "Guaranteed", "cri-o"),
        ("colon form, guaranteed", "Guaranteed", "containerd"),
        ("colon form, static", "BestEffort", "containerd"),
        ("outside of a kubepods tree", None, None),
        ("conmon, systemd", "Burstable", None),
        ("docker in a pod, systemd", "Burstable", "docker"),
        ("kind, guaranteed", "Guaranteed", "containerd"),
        ("kind in podman, container", "Guaranteed", None),
        ("relative, cgroupfs", None, None),
        ("relative, with its class", "Burstable", None),
        ("relative, guaranteed", "Guaranteed", "cri-o"),
        ("a node in a pod", "Guaranteed", None),
        ("microk8s", "BestEffort", None),
        ("Fargate, cluster named", "BestEffort", None),
        ("docker, cgroupfs", None, "docker"),
        ("docker, systemd", None, "docker"),
        ("podman, inner", None, "podman"),
        ("nerdctl", None, "containerd"),
        ("ECS task", None, None),
        ("a daemon", None, None),
    ],
)
def test_the_class_of_service_and_the_runtime_where_the_path_tells(
    name: str, qos: str | None, runtime: str | None
) -> None:
    (shape,) = (shape for shape in SHAPES if shape.name == name)
    place = locate(cgroup.parse(shape.text.encode()))
    assert (place.qos, place.runtime) == (qos, runtime)


@pytest.fixture(scope="module", params=["stat", "stat and status"])
def audit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `sockaudit scan --procfs` says of a tree that holds next to nothing else."""
    tree = tmp_path_factory.mktemp("proc")
    (tree / "sys").mkdir()
    for pid, shape in enumerate(SHAPES, FIRST_PID):
        folder = tree / str(pid)
        folder.mkdir()
        (folder / "cgroup").write_text(shape.text)
        (folder / "stat").write_text(STAT.format(pid=pid))
        if "status" in request.param:
            (folder / "status").write_text("Name:\tapp\nUid:\t0\t0\t0\t0\nThreads:\t1\n")
    command = [
        sys.executable,
        "-m",
        "auditor.cli",
        "scan",
        "--procfs",
        str(tree),
        "--pod-logs",
        str(tree),
        "-o",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_every_pod_and_container_of_the_tree_is_listed(audit: Any) -> None:
    listed = {pod["uid"]: {one["id"] for one in pod["containers"] if "id" in one} for pod in audit["status"]["pods"]}
    expected: dict[str, set[str]] = {}
    for shape in SHAPES:
        if shape.owner[0] == "pod":
            uid, container = shape.owner[1:]
            assert uid is not None
            expected.setdefault(uid, set()).update({container} if container else set())
    assert listed == expected


def test_classes_and_runtimes_are_published(audit: Any) -> None:
    status = audit["status"]
    # All shapes are of few pods: the first of each tells.
    assert {pod["uid"]: pod["qosClass"] for pod in status["pods"]} == {UID: "Guaranteed", HASH: "Burstable"}
    containers = [one for pod in status["pods"] for one in pod["containers"]]
    for rows in (containers, [one for one in status["others"] if one["kind"] == "Container"]):
        assert {one.get("runtime") for one in rows} & {"containerd", "docker", "podman", "cri-o"}


def test_the_rest_is_listed_by_its_name(audit: Any) -> None:
    others = {(one["kind"].lower(), one.get("name")) for one in audit["status"]["others"]}
    for shape in SHAPES:
        if shape.owner[0] in ("unit", "container"):
            assert (shape.owner[0], shape.owner[1]) in others
