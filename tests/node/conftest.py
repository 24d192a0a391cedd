"""One real node for the whole run: started once, the image built from the Dockerfile, the chart installed by helm."""

import json
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from node import workloads
from node.cluster import NAMESPACE, NODE, SCRIPTS, STATIC_PODS, apply, eventually, get, kubectl, pod, run, says

# The first test waits for a base image, wheels and the image's build, which take minutes where nothing is cached.
SECONDS = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the agent said to a failure: the node is gone afterwards."""
    report = yield
    if report.failed and call.when == "call" and item.path.parent == Path(__file__).parent:
        for title, command in (
            (
                "agent",
                ("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=sockaudit", "--tail", "60", "--timestamps"),
            ),
            ("events", ("get", "events", "-A", "--sort-by", ".lastTimestamp")),
            ("findings", ("get", "sockaudits", "-o", "jsonpath={.items[*].status.findings}")),
        ):
            with suppress(AssertionError):
                report.sections.append((title, kubectl(*command)[-20_000:]))
    return report


# Soon enough for tests; the budget is wide for the same reason. The defaults are what `make demo` runs with.
THRESHOLDS = [
    {"limits": {"ptys": {"warning": 50}}},
    {"nodeSelector": {"kubernetes.io/hostname": NODE}, "limits": {"ptys": {"warning": 61, "critical": 83}}},
    {"nodeSelector": {"kubernetes.io/hostname": "another"}, "limits": {"ptys": {"warning": 72}}},
]
SETTINGS = (
    *("--set", "agent.intervalSeconds=5", "--set", "agent.cpuBudgetPercent=20"),
    *("--set-json", f"thresholds={json.dumps(THRESHOLDS)}"),
)


@pytest.fixture(scope="session")
def node() -> Iterator[None]:
    """A Ready node with nothing on it."""
    run(SCRIPTS / "down.sh")
    run(SCRIPTS / "up.sh", seconds=SECONDS)
    run(SCRIPTS / "image.sh", "docker.io/library/sockaudit:0.1.0", seconds=SECONDS)
    yield
    run(SCRIPTS / "down.sh")


@pytest.fixture(scope="session")
def held(node: None) -> dict[str, Any]:  # noqa: ARG001 - a fixture for its effect
    """Pods that run before the agent comes, by name: what each says it holds."""
    apply(
        pod("fds", workloads.FDS),
        pod("sockets", workloads.SOCKETS),
        pod("on-host", workloads.HOST_NETWORK, hostNetwork=True),
    )
    static = STATIC_PODS / "static.json"
    static.with_suffix(".part").write_text(json.dumps(pod("static", workloads.STATIC)))
    static.with_suffix(".part").rename(static)
    names = {"fds": "fds", "sockets": "sockets", "on-host": "on-host", "static": f"static-{NODE}"}
    said = {name: says(real) for name, real in names.items()}
    kubectl("exec", "sockets", "--", "python3", "-c", "import os, signal; os.kill(1, signal.SIGUSR1)")
    eventually(lambda: "lingering" in kubectl("logs", "sockets"), within=20)
    return said


@dataclass(frozen=True, slots=True)
class Installed:
    """What `helm install` led to.

    Attributes:
        seconds: from its start until `kubectl get sockaudits` has a row with a verdict.
        first: the object as first written.
    """

    seconds: float
    first: dict[str, Any]


@pytest.fixture(scope="session")
def installed(held: dict[str, Any]) -> Installed:  # noqa: ARG001 - the pods are there before the agent
    began = time.monotonic()
    run(SCRIPTS / "install.sh", *SETTINGS, seconds=300)
    written = eventually(lambda: [one for one in get("sockaudits")["items"] if one.get("status")], within=120)
    return Installed(time.monotonic() - began, written[0])
