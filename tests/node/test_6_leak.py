"""A program that closes nothing: told before it fails, with what grows and who is at the other end; the agent dies meanwhile."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from node import workloads
from node.cluster import (
    SCRIPTS,
    agent_pod,
    apply,
    audit,
    events,
    eventually,
    get,
    kubectl,
    pod,
    restart_agent,
    run,
    sweeps_every,
    words_of,
)
from node.conftest import SETTINGS

from auditor.publish.when import epoch

pytestmark = pytest.mark.usefixtures("installed")


INTERVAL = 0.3
# Of the leak, so that it takes a bit more than two minutes: the agent is sure of a straight line after two thirds, says so
# by an event, and by the object half a minute later at worst, which is how often it writes that.
PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Leak:
    """A pod that leaks.

    Attributes:
        address: of the pod that it connects to.
        slowness: how many times longer everything takes than where the agent sweeps as often as it is told.
    """

    address: str
    slowness: float


@pytest.fixture
def leak() -> Iterator[Leak]:
    """Start a pod that leaks, at a pace that goes by the agent's: growth is told by sweeps, not by seconds."""
    run(
        SCRIPTS / "install.sh",
        *SETTINGS,
        "--set",
        f"agent.intervalSeconds={INTERVAL}",
        "--set",
        "agent.cpuBudgetPercent=40",
        seconds=300,
    )
    apply(pod("server", workloads.CLOSES))
    address = eventually(lambda: get("pod", "server")["status"]["podIP"], within=60)
    slowness = max(1.0, sweeps_every() / INTERVAL)
    sys.stdout.write(f"{slowness:.1f} times slower than told\n")
    apply(pod("leak", workloads.LEAKS.replace("ADDRESS", address).replace("PAUSE", f"{PAUSE * slowness:.3f}")))
    yield Leak(address, slowness)
    kubectl("delete", "pod", "leak", "server", "--ignore-not-found", "--wait=false")


def of(rule: str) -> dict[str, Any] | None:
    found = audit()["status"]["findings"]
    return next((one for one in found if one["rule"] == rule and one["subject"].get("name") == "leak"), None)


def warned() -> dict[str, Any] | None:
    one = of("FDLeak")
    return one if one and one["severity"] == "Warning" else None


def opened() -> list[str]:
    return sorted(one["reason"] for one in events(**{"regarding.name": "leak"}) if one["type"] == "Warning")


def test_a_leak_is_told_before_it_fails_and_survives_the_agents_death(leak: Leak) -> None:
    info = eventually(lambda: of("FDLeak"), within=240 * leak.slowness)
    eventually(lambda: "FDLeak" in opened(), within=240 * leak.slowness)
    assert "failed" not in words_of("leak"), "told too late"
    early = eventually(warned, within=60)
    assert early["since"] == info["since"]
    assert (early["subject"]["kind"], early["subject"]["container"], early["limit"]) == ("Pod", "app", 640)
    assert f"most of them in CLOSE_WAIT to {leak.address}:9000 (default/server)" in early["message"]
    assert "full in about" in early["message"]
    peak = next(one for one in audit()["status"]["limits"] if "leak app" in one["scope"])["peak"]

    before = agent_pod()
    restart_agent()
    again = eventually(lambda: of("FDLeak"), within=60)
    after = agent_pod()
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert (again["since"], again["severity"], again["id"]) == (early["since"], "Warning", early["id"])
    assert next(one for one in audit()["status"]["limits"] if "leak app" in one["scope"])["peak"] >= peak

    eventually(lambda: "failed" in words_of("leak"), within=240 * leak.slowness)
    failed = json.loads(words_of("leak").splitlines()[-1])
    assert failed["errno"] == "EMFILE"
    ahead = failed["failed"] - epoch(early["exhaustsAt"])
    began = json.loads(words_of("leak").splitlines()[0])["began"]
    sys.stdout.write(f"end foreseen {-ahead:+.0f} s off, {failed['failed'] - epoch(info['since']):.0f} s before\n")
    assert abs(ahead) < 0.2 * (failed["failed"] - began)
    time.sleep(5)
    assert opened().count("FDLeak") == 1, "told once, whoever tells it"
