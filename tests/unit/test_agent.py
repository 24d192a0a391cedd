"""The agent's loop and its endpoint."""

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from kube.fake_api import FakeApi
from prometheus_client.parser import text_string_to_metric_families

from auditor import journal
from auditor.agent import Agent, AgentSettings
from auditor.kube.client import Client
from auditor.publish.endpoint import Endpoint


def settings(**changes: float) -> AgentSettings:
    return AgentSettings(node_name="here", publish=False, **changes)  # type: ignore[arg-type]


def run_turns(agent: Agent, turns: int) -> None:
    """Run the loop with no time between its turns."""

    class Stop(threading.Event):
        left = turns

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            self.left -= 1
            if self.left <= 0:
                self.set()
            return self.is_set()

    agent.loop(Stop())


def fetch(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_is_ready_after_its_first_sweep_and_serves_what_it_found() -> None:
    agent = Agent(settings(), None)
    endpoint = Endpoint(("127.0.0.1", 0), agent.metrics.expose, agent.alive, agent.ready)
    assert fetch(endpoint.port, "/readyz")[0] == 503
    assert fetch(endpoint.port, "/healthz")[0] == 200
    run_turns(agent, 1)
    assert fetch(endpoint.port, "/readyz") == (200, "ok\n")
    assert fetch(endpoint.port, "/anything")[0] == 404
    families = {family.name: family for family in text_string_to_metric_families(fetch(endpoint.port, "/metrics")[1])}
    used = {sample.labels["limit"] for sample in families["sockaudit_limit_used"].samples}
    assert {"process-fds", "file-handles", "pids"} <= used
    assert families["sockaudit_agent_resident_memory_bytes"].samples[0].value > 1e6


def test_a_loop_that_hangs_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(settings(interval=10), None)
    assert agent.alive()
    later = time.monotonic() + 10 * 3 + 61
    monkeypatch.setattr("auditor.agent.time", SimpleNamespace(monotonic=lambda: later))
    assert not agent.alive()


def test_a_turn_that_fails_is_told_once_and_does_not_end_the_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = Agent(settings(), None)
    run_turns(agent, 1)
    calls = 0

    def sometimes(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls <= 3:
            raise RuntimeError("a kernel file that nobody foresaw")
        return once(*arguments, **options)  # type: ignore[arg-type]

    once = agent._source.sweep
    monkeypatch.setattr(agent._source, "sweep", sometimes)
    with caplog.at_level(logging.INFO):
        run_turns(agent, 3)
        assert agent.alive()
        assert not agent.ready(), "what it has to show is of before"
        assert b'sockaudit_verdict{verdict="Unknown"} 1.0' in agent.metrics.expose()
        assert b"sockaudit_limit_used{" not in agent.metrics.expose()
        run_turns(agent, 2)
    assert calls == 5
    assert agent.ready()
    assert b"sockaudit_limit_used{" in agent.metrics.expose()
    told = [text for record in caplog.records if (text := record.getMessage()).startswith("audit: ")]
    assert told == ["audit: RuntimeError: a kernel file that nobody foresaw", "audit: works again"]


def test_what_a_turn_costs_decides_when_the_next_may_come(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent(settings(interval=0.001, cpu_budget_percent=1), None)
    run_turns(agent, 2)
    # A turn of some milliseconds of CPU at 1 % of a core: some tenths of a second, never more than five minutes.
    assert 0.001 < agent._interval <= 300
    assert "sweeps come less often" in caplog.text
    generous = Agent(settings(interval=30, cpu_budget_percent=100), None)
    run_turns(generous, 2)
    assert generous._interval == 30


def test_a_turn_that_cannot_be_written_is_judged_anew_and_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(settings(interval=0.001, cpu_budget_percent=1), None)
    before = agent._history

    def never(*_: object, **__: object) -> object:
        raise ValueError("a figure that cannot be")

    with monkeypatch.context() as broken:
        broken.setattr("auditor.agent.to_status", never)
        run_turns(agent, 1)
    assert agent._history is before, "what opened in this turn opens in the next"
    assert agent._interval > 0.001, "its cost is within the budget"
    run_turns(agent, 1)
    assert agent._history is not before


def test_an_agent_that_is_paused_is_ready(api: FakeApi, client: Client) -> None:
    api.objects["/apis/sockaudit.io/v1alpha1/sockaudits/node-a"] = {"spec": {"paused": True}}
    agent = Agent(AgentSettings(node_name="node-a"), client)
    assert not agent.ready()
    agent._watch = None
    run_turns(agent, 1)
    assert agent.ready()
    assert not api.asked("PATCH")


def test_log_lines_are_json_whatever_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        journal.begin()
        logging.getLogger("auditor.x").error('two\nlines "and" \x1b[31m%s', "\udcff")
        line = capsys.readouterr().err
    finally:
        root.handlers[:], root.level = before
    assert line.count("\n") == 1
    assert json.loads(line)["message"].startswith("two\nlines")
    assert "\x1b" not in line
