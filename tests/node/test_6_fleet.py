"""A fleet on the real apiserver: what the writes of many agents cost it, and how long the report takes.

The ordinary run has 300 nodes; `make soak` has 5,000.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any

import psutil
import pytest
from node.cluster import BED, NODE, kubectl, run
from publish.audits import crowded, status

from auditor.kube.client import Client, connect
from auditor.publish import object as shape
from auditor.publish.when import timestamp

NODES = int(os.environ.get("SOCKAUDIT_FLEET", "300"))
WITHIN_SECONDS = 60
COLLECTION = "/apis/sockaudit.io/v1alpha1/sockaudits"
WRITERS = 8
pytestmark = pytest.mark.usefixtures("installed")
mine = local()


def client() -> Client:
    if not hasattr(mine, "client"):
        mine.client = connect(kubeconfig=f"{BED}/run/admin.conf")
    found: Client = mine.client
    return found


def node_name(number: int) -> str:
    return f"fleet-{number:05}"


def create(number: int) -> None:
    labels = {"node.kubernetes.io/pool": f"pool-{number % 8}", "fleet": "test"}
    body = {
        "apiVersion": "sockaudit.io/v1alpha1",
        "kind": "SockAudit",
        "metadata": {"name": node_name(number), "labels": labels},
    }
    client().create(COLLECTION, body, metadata_only=True)


def write(number: int, body: dict[str, Any]) -> None:
    """As the agent does."""
    operation = {"op": "add", "path": "/status", "value": body | {"observedAt": timestamp(time.time())}}
    client().patch(f"{COLLECTION}/{node_name(number)}/status", [operation], content_type="application/json-patch+json")


def cpu() -> dict[str, float]:
    found = {"kube-apiserver": 0.0, "etcd": 0.0}
    for process in psutil.process_iter(["cmdline"]):
        program = Path((process.info["cmdline"] or [""])[0]).name  # and its version
        for name in found:
            if program.lstrip(".").startswith(name):
                times = process.cpu_times()
                found[name] += times.user + times.system
    assert all(found.values()), found
    return found


def storage() -> int:
    lines = kubectl("get", "--raw", "/metrics").splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("apiserver_storage_size_bytes"))


def all_at_once(work: Callable[[int], object]) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(work, range(NODES)))
    return time.monotonic() - began


def test_many_agents_write_and_one_report_reads_them() -> None:
    body = shape.plain(status(crowded(110, fds=90)))
    size = len(json.dumps(body))
    assert size <= 20 * 1024
    try:
        all_at_once(create)
        all_at_once(lambda number: write(number, body))
        before, began = cpu(), storage()
        seconds = all_at_once(lambda number: write(number, body))  # the heartbeat of a quiet cluster, all at once
        spent = {who: after - before[who] for who, after in cpu().items()}
        began_report = time.monotonic()
        words = run(sys.executable, "-m", "auditor.cli", "report", "-o", "json", seconds=WITHIN_SECONDS)
        report_seconds = time.monotonic() - began_report
        found = json.loads(words)
        assert {pool["name"] for pool in found["pools"]} >= {f"pool-{number}" for number in range(8)}
        assert found["nodes"]["total"] == NODES + 1
        assert found["nodes"]["reporting"] == NODES + 1
        assert NODE not in found["nodes"]["missing"]
        apiserver, etcd = (1000 * spent[who] / NODES for who in ("kube-apiserver", "etcd"))
        for line in (
            f"fleet of {NODES:,} nodes, objects of {size / 1024:.1f} KiB",
            f"{NODES / seconds:.0f} writes/s with {WRITERS} writers; CPU {apiserver:.1f} + {etcd:.1f} ms each",
            f"storage {began >> 20} MiB before a round of writes, {storage() >> 20} MiB after it",
            f"report in {report_seconds:.1f} s",
        ):
            sys.stdout.write(f"\n{line}")
    finally:
        kubectl("delete", "sockaudits", "-l", "fleet=test", "--wait=false")
