import copy
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml
from publish.audits import quiet, status, troubled
from pydantic import ValidationError

from auditor.publish.convert import UNCAPPED
from auditor.publish.crd import definition, schema
from auditor.publish.object import Status, plain

STATUS = schema()["properties"]["status"]


def nodes(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")


def test_the_schema_is_structural_and_everything_is_described_and_bounded() -> None:
    for path, node in nodes(schema()):
        assert "type" in node, path
        assert not {"$ref", "anyOf", "oneOf", "allOf", "title", "default", "const", "$defs"} & node.keys(), path
        if path.startswith((".spec", ".status")) and not path.endswith("[]"):
            assert node.get("description"), path
        if path.startswith(".status") and node["type"] == "string" and "enum" not in node:
            assert node.get("maxLength"), path
        if node["type"] == "array":
            assert node["maxItems"], path
            assert node["x-kubernetes-list-type"] in {"atomic", "map"}, path
        if node["type"] == "integer":
            assert node["format"] == "int64", path


def test_conditions_merge_by_type_and_other_lists_are_atomic() -> None:
    kinds = {path: node["x-kubernetes-list-type"] for path, node in nodes(STATUS) if node["type"] == "array"}
    assert kinds.pop(".conditions") == "map"
    assert STATUS["properties"]["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert set(kinds.values()) == {"atomic"}


def test_names_and_columns() -> None:
    spec = definition()["spec"]
    assert spec["names"]["plural"] == "sockaudits"
    assert "sa" not in spec["names"]["shortNames"]
    assert "all" not in spec["names"]["categories"]
    columns = spec["versions"][0]["additionalPrinterColumns"]
    assert [one["name"] for one in columns if not one.get("priority")] == [
        "Verdict", "Limit", "Use", "Full-In", "Top-Pod", "Findings", "Audited", "Age",
    ]  # fmt: skip
    assert [one["name"] for one in columns if one.get("priority")] == ["Scope", "Source", "Kernel", "Complete"]


def test_every_column_and_selectable_field_leads_to_a_field() -> None:
    paths = {path for path, _ in nodes(schema())}
    version = definition()["spec"]["versions"][0]
    for one in version["additionalPrinterColumns"] + version["selectableFields"]:
        path = one["jsonPath"].split("[?")[0]
        assert path in paths or path.startswith(".metadata."), path


@pytest.mark.parametrize("audit", [quiet(), troubled()])
@pytest.mark.parametrize("more", [{}, {"caps": UNCAPPED}])
def test_what_is_written_is_valid_and_reads_back_the_same(audit: Any, more: Any) -> None:
    written = status(audit, **more)
    document = plain(written)
    jsonschema.validate(document, STATUS)
    assert Status.model_validate(document) == written


FAULTS: list[tuple[list[str | int], object]] = [
    (["verdict"], "Fine"),
    (["verdict"], None),
    (["observedAt"], "x" * 33),
    (["summary", "findings"], -1),
    (["limits", 0, "limitState"], "Perhaps"),
    (["limits", 0, "name"], "x" * 254),
    (["limits", 0, "used"], "many"),
    (["pods", 0, "kinds", "socket"], None),
    (["findings", 0, "consumers"], [{"kind": "Pod"}] * 6),
    (["findings", 0, "subject", "kind"], "Deployment"),
    (["conditions", 0, "reason"], "two words"),
    (["coverage", "gaps"], {}),
]


@pytest.mark.parametrize(("path", "value"), FAULTS)
def test_schema_and_model_refuse_the_same(path: list[str | int], value: object) -> None:
    document: Any = copy.deepcopy(plain(status(troubled())))
    part = document
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, STATUS)
    with pytest.raises(ValidationError):
        Status.model_validate(document, strict=True)


def test_printing_it_is_stable() -> None:
    command = [sys.executable, "-m", "auditor.publish.crd"]
    first, second = (subprocess.run(command, check=True, capture_output=True).stdout for _ in range(2))
    assert first == second
    assert yaml.safe_load(first) == definition()
