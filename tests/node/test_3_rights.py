"""The agent may do what it needs and no more, on the real apiserver."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from node import workloads
from node.cluster import (
    BED,
    ENVIRONMENT,
    NAMESPACE,
    NODE,
    agent_log,
    agent_pod,
    apply,
    audit,
    events,
    eventually,
    get,
    is_ready,
    kubectl,
    pod,
    restart_agent,
    row,
    says,
)

pytestmark = pytest.mark.usefixtures("installed")

ANOTHER = {"apiVersion": "sockaudit.io/v1alpha1", "kind": "SockAudit", "metadata": {"name": "node-b"}}


def bound_token() -> str:
    agent = agent_pod()
    assert agent is not None
    path = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    return kubectl("exec", "-n", NAMESPACE, agent["metadata"]["name"], "--", "cat", path)


def unbound_token() -> str:
    return kubectl("create", "token", "sockaudit", "-n", NAMESPACE).strip()


def as_agent(token: str, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl with an agent's token and nothing else; all it says."""
    server = ("--server=https://127.0.0.1:6443", f"--certificate-authority={BED}/run/pki/ca.crt", f"--token={token}")
    done = subprocess.run(
        ["kubectl", "--kubeconfig=/dev/null", *server, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    return done.stdout + done.stderr


def patch(token: str, path: str, body: dict[str, Any]) -> tuple[int, str]:
    """One PATCH and nothing before it, unlike kubectl's; its status and what the API says."""
    request = urllib.request.Request(
        f"https://127.0.0.1:6443{path}",
        method="PATCH",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"},
    )
    trust = ssl.create_default_context(cafile=f"{BED}/run/pki/ca.crt")
    try:
        with urllib.request.urlopen(request, context=trust) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["message"]


def patch_status(token: str, name: str) -> tuple[int, str]:
    path = f"/apis/sockaudit.io/v1alpha1/sockaudits/{name}/status"
    return patch(token, path, {"status": {"summary": {"topPod": "forged"}}})


def test_an_agent_writes_its_own_object_and_no_other() -> None:
    apply(ANOTHER)
    whole = json.dumps({"status": audit()["status"]})
    kubectl("patch", "sockaudit", "node-b", "--subresource=status", "--type=merge", "-p", whole)
    try:
        token = bound_token()
        assert patch_status(token, NODE)[0] == 200
        status, answer = patch_status(token, "node-b")
        assert status == 403
        assert "own node; this token is bound to node-a" in answer
        stranger = {**ANOTHER, "metadata": {"name": "node-c"}}
        answer = as_agent(token, "create", "-f", "-", stdin=json.dumps(stranger))
        assert "own node; this token is bound to node-a" in answer, answer
    finally:
        kubectl("delete", "sockaudit", "node-b", "node-c", "--ignore-not-found")


def test_a_token_bound_to_no_node_writes_nothing() -> None:
    status, answer = patch_status(unbound_token(), NODE)
    assert status == 403
    assert "bound to no node" in answer


def test_what_was_not_granted_is_refused() -> None:
    token = bound_token()
    for refusal in (
        ("delete", "sockaudit", NODE),
        ("get", "sockaudits"),
        ("get", "secrets", "-A"),
        ("get", "nodes"),
        ("get", "pod", "sockets"),
        ("get", "events", "-A"),
        ("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/pods"),
    ):
        assert "Forbidden" in as_agent(token, *refusal), refusal


@contextmanager
def without(group: str, resource: str, verb: str) -> Iterator[None]:
    """The agent's role, one verb poorer; the agent starts anew under it."""
    role: dict[str, Any] = get("clusterrole", "sockaudit")
    poorer = [dict(rule) for rule in role["rules"]]
    for rule in poorer:
        if rule["apiGroups"] == [group] and rule["resources"] == [resource]:
            assert verb in rule["verbs"]
            rule["verbs"] = [one for one in rule["verbs"] if one != verb]
    kept = [rule for rule in poorer if rule["verbs"]]
    patch = json.dumps({"rules": kept})
    kubectl("patch", "clusterrole", "sockaudit", "--type=merge", "-p", patch)
    try:
        yield
    finally:
        kubectl("patch", "clusterrole", "sockaudit", "--type=merge", "-p", json.dumps({"rules": role["rules"]}))


def restart_agent_without_waiting() -> None:
    agent = agent_pod()
    assert agent is not None
    name = agent["metadata"]["name"]
    kubectl("delete", "pod", "-n", NAMESPACE, name)
    eventually(lambda: (agent_pod() or {}).get("status", {}).get("phase") == "Running", within=60)


def complains(*words: str) -> bool:
    return any(all(word in line["message"] for word in words) for line in agent_log())


def gaps() -> dict[str, str]:
    """What each says."""
    return {one["id"]: one["detail"] for one in audit()["status"]["coverage"]["gaps"]}


@pytest.mark.parametrize(
    ("resource", "verb"), [("sockaudits", "get"), ("sockaudits/status", "patch"), ("sockaudits", "create")]
)
def test_without_a_right_to_its_object_the_agent_says_so_and_is_not_ready(resource: str, verb: str) -> None:
    with without("sockaudit.io", resource, verb):
        if verb == "create":
            kubectl("delete", "sockaudit", NODE)
        restart_agent_without_waiting()
        eventually(lambda: complains("403 Forbidden", f"cannot {verb} resource", resource), within=60)
        agent = agent_pod()
        assert agent is not None
        assert not agent["status"]["containerStatuses"][0]["ready"]
    eventually(lambda: is_ready(agent_pod()), within=60)


def test_without_the_right_to_patch_its_object_labels_are_not_followed() -> None:
    kubectl("label", "node", NODE, "topology.kubernetes.io/zone=first", "--overwrite")
    restart_agent()
    eventually(lambda: audit()["metadata"]["labels"]["topology.kubernetes.io/zone"] == "first", within=60)
    kubectl("label", "node", NODE, "topology.kubernetes.io/zone=second", "--overwrite")
    with without("sockaudit.io", "sockaudits", "patch"):
        restart_agent()
        eventually(lambda: complains("403 Forbidden", "cannot patch resource", '"sockaudits"'), within=60)
        assert audit()["metadata"]["labels"]["topology.kubernetes.io/zone"] == "first"
    restart_agent()
    eventually(lambda: audit()["metadata"]["labels"]["topology.kubernetes.io/zone"] == "second", within=60)


def test_without_the_right_to_get_the_node_its_image_is_unknown() -> None:
    assert "osImage" in audit()["status"]["node"]
    with without("", "nodes", "get"):
        restart_agent()
        eventually(lambda: "osImage" not in audit()["status"]["node"], within=60)
        assert complains("403 Forbidden", "cannot get resource", "nodes")


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_without_a_right_to_pods_a_gap_says_that_names_come_from_elsewhere(verb: str) -> None:
    with without("", "pods", verb):
        restart_agent()
        eventually(lambda: "403 Forbidden" in gaps().get("pod-watch", ""), within=330)
        assert row("sockets")["namespace"] == "default"


def test_without_the_right_to_create_events_none_comes_and_the_log_says_so() -> None:
    with without("events.k8s.io", "events", "create"):
        restart_agent()
        apply(pod("unheard", workloads.FDS))
        says("unheard")
        eventually(lambda: complains("events: refused", "cannot create resource"), within=120)
        assert not events(**{"regarding.name": "unheard"})
    kubectl("delete", "pod", "unheard")


def test_without_the_right_to_patch_events_a_series_is_not_refreshed() -> None:
    token = bound_token()
    one = events()[0]["metadata"]
    path = f"/apis/events.k8s.io/v1/namespaces/{one['namespace']}/events/{one['name']}"
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}
    assert patch(token, path, series)[0] == 200
    with without("events.k8s.io", "events", "patch"):
        eventually(lambda: patch(token, path, series)[0] == 403, within=20)
