"""The CustomResourceDefinition, made from the pydantic model: `python -m auditor.publish.crd`.

The apiserver asks for a structural schema: no references, no alternatives (see "Specifying a structural schema" in the
Kubernetes documentation of custom resources).
"""

import sys
from typing import Any

import yaml

from auditor.publish.object import GROUP, KIND, PLURAL, VERSION, Spec, Status

_COLUMNS = (
    ("Verdict", "string", ".status.verdict", 0, "Worst open severity, or Unknown."),
    ("Limit", "string", ".status.summary.limit", 0, "The limit nearest to its end."),
    ("Use", "integer", ".status.summary.percent", 0, "Percent of that limit in use."),
    ("Full-In", "string", ".status.summary.fullIn", 0, "When it runs out."),
    ("Top-Pod", "string", ".status.summary.topPod", 0, "The pod under or causing most pressure."),
    ("Findings", "integer", ".status.summary.findings", 0, "Open findings."),
    ("Audited", "date", ".status.observedAt", 0, "Age of the figures."),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Age of the object."),
    ("Scope", "string", ".status.summary.scope", 1, "Scope of the limit."),
    ("Source", "string", ".status.coverage.source", 1, "How the kernel was read."),
    ("Kernel", "string", ".status.node.kernel", 1, "Kernel release."),
    (
        "Complete",
        "string",
        '.status.conditions[?(@.type=="Complete")].status',
        1,
        "Whether every promised limit was read.",
    ),
)
_KEPT = (
    "type", "format", "description", "enum", "pattern", "minimum", "maxLength", "maxItems", "required",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
)  # fmt: skip


def definition() -> dict[str, Any]:
    """Return the CRD as the API takes it (apiextensions.k8s.io/v1)."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["sock"],
                "categories": ["audit"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".status.verdict"}],
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "description": text}
                        | ({"priority": priority} if priority else {})
                        for name, kind, path, priority, text in _COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": schema()},
                }
            ],
        },
    }


def schema() -> dict[str, Any]:
    """Return the structural schema of the whole object."""
    return {
        "type": "object",
        "description": "How far the shared kernel limits of a node are used, by whom, and what runs out next.",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _structural(Spec.model_json_schema(by_alias=True)),
            "status": _structural(Status.model_json_schema(by_alias=True)),
        },
    }


def _structural(root: dict[str, Any]) -> dict[str, Any]:
    definitions = root.get("$defs", {})

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        node = dict(node)
        if reference := node.pop("$ref", None):
            node = definitions[reference.rsplit("/", 1)[-1]] | node
        if alternatives := node.pop("anyOf", None):
            (one,) = (option for option in alternatives if option.get("type") != "null")
            return resolve(one | node)
        kept = {key: node[key] for key in _KEPT if key in node}
        if "const" in node:
            kept["enum"] = [node["const"]]
        if "description" in kept:
            kept["description"] = " ".join(kept["description"].split())
        if node.get("type") == "array":
            kept["items"] = resolve(node["items"])
            kept.setdefault("x-kubernetes-list-type", "atomic")
        if "properties" in node:
            kept["properties"] = {name: resolve(child) for name, child in node["properties"].items()}
        return kept

    return resolve(root)


def main() -> None:
    """Print the CRD."""
    yaml.safe_dump(definition(), sys.stdout, sort_keys=False, width=110)


if __name__ == "__main__":
    main()
