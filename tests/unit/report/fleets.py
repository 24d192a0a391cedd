"""Fleets of made-up nodes, as kubectl would save them, and the report of them; seeded."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from auditor import cli
from auditor.publish.when import timestamp

NOW = 1_795_000_000
POOL = "node.kubernetes.io/pool"
Json = dict[str, Any]


def limit(name: str, used: int | None, maximum: int | None, scope: str = "node", **more: Any) -> Json:
    row: Json = {"name": name, "scope": scope, "limitState": "Known" if maximum else "Unlimited"} | more
    if used is not None:
        row["used"] = used
    if maximum is not None:
        row["limit"] = maximum
    if used is not None and maximum:
        row["percent"] = 100 * used // maximum
    return row


def share(p90: int, pods: int = 20) -> Json:
    return {"podShare": {"pods": pods, "p50": p90 // 2, "p90": p90, "max": 2 * p90}}


def node(name: str, *limits: Json, pool: str = "workers", at: int | None = NOW, pods: int = 40, **status: Any) -> Json:
    about: Json = {"kernel": "6.1", "pods": pods, "podsAllocatable": 110}
    body: Json = {"verdict": "OK", "node": about, "limits": list(limits)} | status
    if at is not None:
        body["observedAt"] = timestamp(at)
    return {
        "apiVersion": "sockaudit.io/v1alpha1",
        "kind": "SockAudit",
        "metadata": {"name": name, "labels": {POOL: pool}},
        "status": body,
    }


def workload(name: str, soft: tuple[int, int], peak: int, pods: int = 2) -> Json:
    return {
        "namespace": "shop",
        "kind": "Deployment",
        "name": name,
        "pods": pods,
        "fdsPeak": peak,
        "softMin": soft[0],
        "softMax": soft[1],
    }


def save(path: Path, *nodes: object, indent: int | None = 4) -> str:
    document = {"apiVersion": "v1", "items": list(nodes), "kind": "List", "metadata": {"resourceVersion": ""}}
    path.write_text(json.dumps(document, indent=indent))
    return str(path)


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> Json:
    assert cli.main(["report", "-o", "json", *arguments]) == 0
    found: Json = json.loads(capsys.readouterr().out)
    return found


def fleet(many: int, seed: int = 7) -> list[Json]:
    """Nodes of realistic size: twelve limits, twenty pods, forty workloads, a finding now and then."""
    chance = random.Random(seed)
    nodes = []
    for number in range(many):
        kind = chance.randrange(8)
        limits = []
        for name, maximum, typical in (
            ("file-handles", 400_000, 900),
            ("inotify-instances", 128 if kind < 2 else 1024, 2),
            ("pids", 32_768, 40),
            ("threads", 250_000, 40),
            ("tcp-memory", 380_000, 1_200),
        ):
            p90 = max(1, int(typical * chance.uniform(0.5, 2)))
            used = int(maximum * chance.uniform(0.05, 0.8))
            limits.append(limit(name, used, maximum, peak=int(used * chance.uniform(1, 1.2)), **share(p90)))
        limits += [
            limit(name, chance.randrange(900), 1000, scope=f"scope {chance.randrange(9)}")
            for name in ("conntrack", "time-wait", "ephemeral-ports", "process-fds", "neighbours", "orphans", "keys")
        ]
        limits.append(limit("aio", 7, None))
        pods = [
            {
                "namespace": f"team-{chance.randrange(30)}",
                "name": f"web-{chance.randrange(10**6)}-{index}",
                "uid": "11111111-1111-1111-1111-111111111111",
                "fds": chance.randrange(60_000),
                "fdsPeak": 70_000,
                "kinds": dict.fromkeys(("file", "socket", "pipe", "epoll", "eventfd", "inotify", "timerfd"), 10),
                "sockets": {
                    "tcp": dict.fromkeys(
                        ("established", "timeWait", "closeWait", "listen", "close"), chance.randrange(99)
                    ),
                    "udp": 1,
                    "unix": 2,
                    "other": 3,
                },
                "containers": [{"name": "app", "id": "c" * 64, "fds": 100}],
            }
            for index in range(20)
        ]
        workloads = [
            workload(
                f"svc-{chance.randrange(300)}", (chance.choice((1024, 65_536, 1_048_576)),) * 2, chance.randrange(9000)
            )
            for _ in range(40)
        ]
        findings = []
        if chance.random() < 0.1:
            findings.append(
                {
                    "id": f"ConntrackHigh/{number}",
                    "rule": "ConntrackHigh",
                    "severity": "Warning",
                    "subject": {"kind": "Node"},
                    "since": timestamp(NOW - chance.randrange(10**6)),
                    "message": "m" * 200,
                    "remedy": "r" * 200,
                }
            )
        at: int | None = NOW - chance.randrange(600)
        if chance.random() < 0.02:
            at = chance.choice((None, NOW - 3600))
        nodes.append(
            node(
                f"node-{number:05}",
                *limits,
                pool=f"pool-{kind}",
                at=at,
                pods=chance.randrange(20, 110),
                workloads=workloads,
                findings=findings,
                verdict="Warning" if findings else "OK",
            )
        )
        nodes[-1]["status"]["pods"] = pods
    return nodes
