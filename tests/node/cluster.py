"""The test bed as the tests see it: kubectl, helm, the node's components, and pods that run a program."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

T = TypeVar("T")

PROJECT = Path(__file__).parents[2]
SCRIPTS = PROJECT / "tests" / "bed"
CHART = PROJECT / "helm" / "sockaudit"
BED = Path(os.environ.get("SOCKAUDIT_BED", Path.home() / ".cache" / "sockaudit-bed"))
ENVIRONMENT = os.environ | {"PATH": f"{BED}/bin:{os.environ['PATH']}", "KUBECONFIG": f"{BED}/run/admin.conf"}
STATIC_PODS = BED / "run" / "static"
NAMESPACE = "sockaudit-system"
NODE = "node-a"
IMAGE = "docker.io/library/sockaudit:0.1.0"
Document = dict[str, Any]


def run(*command: object, stdin: str | None = None, seconds: float = 300) -> str:
    """Run a command of the bed; what it prints. Fails with its last words."""
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def refused(*command: object, stdin: str | None = None) -> str:
    """Run a command that must fail; its error."""
    done = subprocess.run(
        [str(word) for word in command], input=stdin, capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode != 0, f"was not refused: {' '.join(map(str, command))}\n{done.stdout}"
    return done.stderr


def kubectl(*arguments: object, stdin: str | None = None) -> str:
    return run("kubectl", *arguments, stdin=stdin)


def get(*arguments: object) -> Document:
    document: Document = json.loads(kubectl("get", *arguments, "-o", "json"))
    return document


def apply(*documents: Document) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)}))


def component(action: str, *names: str) -> None:
    run(SCRIPTS / "component.sh", action, *names)


def eventually(what: Callable[[], T | None], *, within: float, every: float = 0.5) -> T:
    """Wait until `what` returns something true. Its own failures on the way are part of waiting."""
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            last = result = what()
            if result:
                return result
        except (AssertionError, LookupError, StopIteration, ValueError, subprocess.TimeoutExpired) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s; last: {last!r}")
        time.sleep(every)


def pod(name: str, program: str, *, namespace: str = "default", **spec: Any) -> Document:
    """A pod that runs a Python program. `user` sets its uid."""
    user = spec.pop("user", None)
    container: Document = {
        "name": "app",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", program],
    }
    if user is not None:
        container["securityContext"] = {"runAsUser": user, "runAsGroup": user}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


def words_of(name: str) -> str:
    return kubectl("logs", name)


def says(name: str) -> Document:
    """What a workload says it holds, once it says so."""
    document: Document = eventually(lambda: json.loads(words_of(name).splitlines()[0]), within=180)
    return document


def audit() -> Document:
    """The node's object."""
    return get("sockaudit", NODE)


def row(name: str, document: Document | None = None) -> Document:
    """The object's entry of one pod."""
    return next(one for one in (document or audit())["status"]["pods"] if one.get("name") == name)


def app(one: Document) -> Document:
    """The workload's container of a pod's entry; beside it stands the sandbox."""
    return next(container for container in one["containers"] if container.get("name") == "app")


def finding(rule: str, about: str) -> Document | None:
    """The object's finding by this rule about a pod or a scope; others on the machine may have theirs."""
    found = audit()["status"]["findings"]
    return next(
        (one for one in found if one["rule"] == rule and about in (one["subject"].get("name"), one["scope"])), None
    )


def events(**fields: str) -> list[Document]:
    """Events that the agent sent, of these fields."""
    chosen = {"reportingController": "sockaudit.io/agent", **fields}
    selector = ",".join(f"{key}={value}" for key, value in chosen.items())
    items: list[Document] = get("events.events.k8s.io", "-A", "--field-selector", selector)["items"]
    return items


def agent_pod() -> Document | None:
    """The agent's pod, if it is there and not on its way out."""
    pods = get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=sockaudit")["items"]
    return next((one for one in pods if "deletionTimestamp" not in one["metadata"]), None)


def agent_log() -> list[Document]:
    return [json.loads(line) for line in kubectl("logs", "-n", NAMESPACE, "daemonset/sockaudit").splitlines()]


def sweeps_every() -> float:
    """Seconds from one sweep of the agent to the next, as its metrics say once it has made some."""
    agent = agent_pod()
    assert agent is not None
    asks = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9475/metrics').read().decode())"

    def figures() -> dict[str, float]:
        text = kubectl("exec", "-n", NAMESPACE, agent["metadata"]["name"], "--", "python3", "-c", asks)
        return {one.name: one.value for family in text_string_to_metric_families(text) for one in family.samples}

    observed = "sockaudit_observed_timestamp_seconds"
    first = eventually(lambda: figures()[observed], within=60)
    eventually(lambda: figures()[observed] >= first + 10, within=60)
    later = figures()
    return max(later["sockaudit_interval_seconds"], later["sockaudit_sweep_duration_seconds"])


def is_ready(document: Document | None) -> bool:
    conditions = (document or {}).get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def restart_agent() -> None:
    """Delete the agent's pod and wait for the next one to have written."""
    old = eventually(agent_pod, within=60)
    kubectl("delete", "pod", "-n", NAMESPACE, old["metadata"]["name"], "--wait=false")

    def renewed() -> bool:
        new = agent_pod()
        return new is not None and new["metadata"]["uid"] != old["metadata"]["uid"] and is_ready(new)

    eventually(renewed, within=90)
