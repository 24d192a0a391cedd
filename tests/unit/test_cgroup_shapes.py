"""Every shape through the parser alone, and all of them as one recorded tree through the command."""

import json
import subprocess
import sys
from typing import Any

import pytest
from cgroup_shapes import SHAPES, Shape

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


def test_the_rest_is_listed_by_its_name(audit: Any) -> None:
    others = {(one["kind"].lower(), one.get("name")) for one in audit["status"]["others"]}
    for shape in SHAPES:
        if shape.owner[0] in ("unit", "container"):
            assert (shape.owner[0], shape.owner[1]) in others
