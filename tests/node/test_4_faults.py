"""What a cluster does to an agent: pods deleted, objects deleted, an API that restarts, goes away, forgets the node."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from node import workloads
from node.cluster import (
    NODE,
    Document,
    agent_log,
    agent_pod,
    apply,
    audit,
    component,
    events,
    eventually,
    get,
    kubectl,
    pod,
    refused,
    restart_agent,
    says,
)

OUTAGE_SECONDS = float(os.environ.get("SOCKAUDIT_OUTAGE", "30"))  # `make soak`: two minutes
pytestmark = pytest.mark.usefixtures("installed")
Leak = Callable[[str], None]


@pytest.fixture
def leak() -> Iterator[Leak]:
    """Start a pod that holds 900 of 1,000 descriptors."""
    names = []

    def start(name: str) -> None:
        apply(pod(name, workloads.FDS))
        names.append(name)
        assert says(name) == {"fds": 900}

    yield start
    for name in names:
        kubectl("delete", "pod", name, "--ignore-not-found", "--wait=false")


def free(name: str) -> None:
    kubectl("exec", name, "--", "python3", "-c", "import os, signal; os.kill(1, signal.SIGUSR1)")


def finding_on(name: str) -> Document | None:
    found = audit()["status"]["findings"]
    return next((one for one in found if one["subject"].get("name") == name), None)


def told(name: str) -> Counter[str]:
    """Events on a pod, by type."""
    return Counter(one["type"] for one in events(**{"regarding.name": name}))


def test_a_deleted_agent_is_followed_by_one_that_goes_on_where_it_stopped(leak: Leak) -> None:
    leak("before-restart")
    old = eventually(lambda: finding_on("before-restart"), within=90)
    eventually(lambda: told("before-restart") == {"Warning": 1}, within=60)
    written = audit()["status"]["observedAt"]
    restart_agent()
    eventually(lambda: audit()["status"]["observedAt"] > written, within=60)
    new = finding_on("before-restart")
    assert new is not None
    assert (new["id"], new["since"]) == (old["id"], old["since"])
    free("before-restart")
    eventually(lambda: finding_on("before-restart") is None, within=90)
    eventually(lambda: told("before-restart") == {"Warning": 1, "Normal": 1}, within=60)


def test_a_deleted_object_is_made_again_after_a_restart_of_the_api_with_its_findings_and_no_new_events(
    leak: Leak,
) -> None:
    leak("kept")
    old = eventually(lambda: finding_on("kept"), within=90)
    eventually(lambda: told("kept") == {"Warning": 1}, within=60)
    before = agent_pod()
    kubectl("delete", "sockaudit", NODE)
    component("stop", "apiserver")
    component("start", "apiserver")
    leak("reason-to-write")
    eventually(lambda: finding_on("reason-to-write"), within=120)
    again = finding_on("kept")
    assert again is not None
    assert again["since"] == old["since"]
    assert audit()["metadata"]["ownerReferences"][0]["uid"] == get("node", NODE)["metadata"]["uid"]
    assert told("kept") == {"Warning": 1}
    after = agent_pod()
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_an_api_that_is_away_loses_nothing(leak: Leak) -> None:
    restart_agent()  # ten events in five minutes are all that it may send; this test needs its share
    leak("stays-open")
    leak("frees-meanwhile")
    eventually(lambda: told("stays-open") == told("frees-meanwhile") == {"Warning": 1}, within=90)
    before = agent_pod()
    assert before is not None
    pid = int(
        kubectl(
            "exec", "frees-meanwhile", "--", "python3", "-c", "import os; print(os.readlink('/proc/self/ns/pid')[5:-1])"
        )
    )
    component("stop", "apiserver")
    try:
        refused("kubectl", "get", "sockaudits")
        _signal_inside(pid)
        time.sleep(OUTAGE_SECONDS)
    finally:
        component("start", "apiserver")
    eventually(lambda: finding_on("stays-open") and not finding_on("frees-meanwhile"), within=120)
    # What the tests beside this one do is seen as well, and may have taken a share of what may be sent in five minutes.
    eventually(lambda: told("frees-meanwhile") == {"Warning": 1, "Normal": 1}, within=330)
    assert told("stays-open") == {"Warning": 1}
    after = agent_pod()
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [one["restartCount"] for one in after["status"]["containerStatuses"]] == [0]
    # Said once when it began and once when it ended, not at each of the two dozen sweeps between.
    lines = eventually(lambda: lines if (lines := api_lines())[-1] == "API: works again" else None, within=60)
    assert 2 <= len(lines) <= 6


def api_lines() -> list[str]:
    return [one["message"] for one in agent_log() if one["message"].startswith("API: ")]


def _signal_inside(pid_namespace: int) -> None:
    """SIGUSR1 to process 1 of a pod, with no API to ask for an exec."""
    for entry in os.listdir("/proc"):
        with suppress(OSError, StopIteration):
            if not entry.isdigit() or os.stat(f"/proc/{entry}/ns/pid").st_ino != pid_namespace:
                continue
            with open(f"/proc/{entry}/status", encoding="utf-8") as lines:
                inner = next(line.split()[-1] for line in lines if line.startswith("NSpid"))
            if inner == "1":
                os.kill(int(entry), signal.SIGUSR1)
                return
    raise AssertionError("the pod's first process is gone")
