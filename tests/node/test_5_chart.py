"""The chart and the definition, as helm and a real apiserver judge them."""

import itertools
import json
import subprocess
from typing import Any

import pytest
import yaml
from node.cluster import CHART, ENVIRONMENT, NAMESPACE, NODE, PROJECT, kubectl, refused, run

pytestmark = pytest.mark.usefixtures("installed")

SWITCHES = (
    "crd.install",
    "rbac.create",
    "rbac.aggregateToView",
    "serviceAccount.create",
    "admissionPolicy.enabled",
)
OTHERS = (
    (
        "image.repository=registry.example.com:5000/platform/sockaudit",
        "image.tag=v0.1.0-rc.1",
        "image.pullPolicy=Always",
    ),
    ("imagePullSecrets[0].name=pull",),
    ("agent.intervalSeconds=2.5", "agent.cpuBudgetPercent=0.5", "agent.snatPorts=1024"),
    ("metrics.host=0.0.0.0", "metrics.port=19475"),
    ("metrics.host=::", "metrics.port=9475"),
    ("serviceAccount.create=false", "serviceAccount.name=default"),
    ("serviceAccount.name=other", "serviceAccount.annotations.a=b"),
    ("k8sServiceHost=10.0.0.1", "k8sServicePort=6443"),
    ("nodeSelector.pool=a", "podLabels.team=net", "podAnnotations.a=b", "priorityClassName="),
    ("affinity=null", "tolerations=null", "resources=null"),
    ("updateStrategy.type=OnDelete", "updateStrategy.rollingUpdate=null"),
    ("security.profile=minimal", "agent.source=bpf"),
    ("security.profile=unprivileged", "agent.source=procfs"),
    ("thresholds[0].limits.pids.warning=70", "thresholds[0].limits.pids.critical=90", "thresholds[0].nodeSelector.a=b"),
)
REFUSED = (
    "image.pullPolicy=Sometimes",
    "image.repository=",
    "agent.intervalSeconds=0",
    "agent.cpuBudgetPercent=0",
    "agent.interval=30",
    "agent.snatPorts=0",
    "security.profile=baseline",
    "metrics.port=70000",
    "metrics.host=node.example.com",
    "crd.install=maybe",
    "k8sServicePort=https",
    "thresholds.fds=3",
    "thresholds[0].limits.nothing.warning=3",
    "thresholds[0].limits.pids.warning=101",
    "thresholds[0].selector.a=b",
)


# Not the installed release: what is applied over that is merged with it.
def render(*settings: str, name: str = "another-sockaudit", namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    arguments = [word for setting in settings for word in ("--set", setting)]
    text = run("helm", "template", name, CHART, "--namespace", namespace, *arguments)
    return [document for document in yaml.safe_load_all(text) if document]


def accepted(documents: list[dict[str, Any]]) -> None:
    """Let the apiserver check every document against its schema."""
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=body)


def test_helm_lint_finds_nothing() -> None:
    assert "0 chart(s) failed" in run("helm", "lint", "--strict", CHART)


@pytest.mark.parametrize("values", list(itertools.product(("true", "false"), repeat=len(SWITCHES))), ids=",".join)
def test_every_combination_of_switches_is_accepted(values: tuple[str, ...]) -> None:
    documents = render(*(f"{switch}={value}" for switch, value in zip(SWITCHES, values, strict=True)))
    accepted(documents)
    kinds = [document["kind"] for document in documents]
    on = dict(zip(SWITCHES, (value == "true" for value in values), strict=True))
    assert ("CustomResourceDefinition" in kinds) == on["crd.install"]
    assert kinds.count("ClusterRole") == on["rbac.create"] * (1 + on["rbac.aggregateToView"])
    assert ("ServiceAccount" in kinds) == on["serviceAccount.create"]
    assert ("ValidatingAdmissionPolicy" in kinds) == on["admissionPolicy.enabled"]


@pytest.mark.parametrize("settings", OTHERS, ids=",".join)
def test_every_other_value_is_accepted(settings: tuple[str, ...]) -> None:
    accepted(render(*settings))


@pytest.mark.parametrize("setting", REFUSED)
def test_an_invalid_value_is_named(setting: str) -> None:
    error = refused("helm", "template", "sockaudit", CHART, "--set", setting)
    parts = setting.partition("=")[0].split(".")
    assert any(part in error for part in parts), error
    assert "goroutine" not in error


def test_two_releases_do_not_meet() -> None:
    kept = {"CustomResourceDefinition"}
    one, other = (
        {(doc["kind"], doc["metadata"]["name"]) for doc in render(name=name) if doc["kind"] not in kept}
        for name in ("sockaudit", "another-sockaudit")
    )
    assert not one & other


def test_the_definition_is_kept_on_uninstall() -> None:
    definition = next(doc for doc in render() if doc["kind"] == "CustomResourceDefinition")
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_manifests_are_accepted_as_they_are() -> None:
    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", PROJECT / "manifests")


def test_what_is_generated_is_in_step() -> None:
    files = ["docs/reference.md", "helm/sockaudit/files/crd.yaml", "manifests/sockaudit.yaml"]
    before = {name: (PROJECT / name).read_text() for name in files}
    try:
        subprocess.run(["make", "--silent", "generate"], cwd=PROJECT, env=ENVIRONMENT, check=True)
        for name in files:
            assert (PROJECT / name).read_text() == before[name], f"{name} is out of step: run make generate"
    finally:
        for name, text in before.items():
            if (PROJECT / name).read_text() != text:  # tests that run beside this one read it as well
                (PROJECT / name).write_text(text)


def test_the_released_chart_is_kept_for_upgrades() -> None:
    assert "version: 0.1.0" in run("helm", "show", "chart", PROJECT / "tests" / "data" / "sockaudit-0.1.0.tgz")


@pytest.mark.parametrize(
    "field", ["", ".status", ".status.pods", ".status.findings", ".status.coverage", ".status.limits"]
)
def test_kubectl_explain_says_what_every_field_means(field: str) -> None:
    told = kubectl("explain", f"sockaudit{field}")
    assert "<no description>" not in told.replace("<empty>", "<no description>"), told


def test_a_status_that_is_none_is_refused() -> None:
    wrong = json.dumps({"status": {"verdict": "Splendid"}})
    patch = (
        "kubectl",
        "patch",
        "sockaudit",
        NODE,
        "--subresource=status",
        "--type=merge",
        "--dry-run=server",
        "-p",
        wrong,
    )
    assert "Unsupported value" in refused(*patch)
