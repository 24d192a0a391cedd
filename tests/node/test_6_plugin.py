"""`kubectl sockaudit` and the report, on the real node."""

import json
import sys
from pathlib import Path

import pytest
from node import workloads
from node.cluster import ENVIRONMENT, NODE, apply, eventually, kubectl, pod, run

pytestmark = pytest.mark.usefixtures("installed")
SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


@pytest.fixture(scope="module", autouse=True)
def _plugin() -> None:
    """kubectl finds its plugins on the PATH."""
    ENVIRONMENT["PATH"] = f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"


def test_top_and_explain_show_the_pod_and_the_report_counts_the_node() -> None:
    apply(SHOP, pod("fds", workloads.FDS, namespace="shop"))
    try:
        eventually(lambda: "fds" in kubectl("sockaudit", "top", "pods", "-n", "shop"), within=90, every=2)
        (line,) = kubectl("sockaudit", "top", "pods", "-n", "shop").splitlines()[1:]
        assert line.split()[:3] == ["shop", "fds", NODE]
        text = kubectl("sockaudit", "explain", "pod/fds", "-n", "shop")
        assert text.startswith(f"shop/fds on {NODE}\n")
        assert "worst process: " in text
        assert NODE in kubectl("sockaudit", "top", "nodes")
        kubectl("label", "pod", "fds", "-n", "shop", "tier=front")
        assert "fds" in kubectl("sockaudit", "top", "pods", "-n", "shop", "-l", "tier=front")
        assert "fds" not in kubectl("sockaudit", "top", "pods", "-n", "shop", "-l", "tier=back")
        assert "LIMIT" in kubectl("sockaudit", "explain", f"node/{NODE}")
        found = json.loads(kubectl("sockaudit", "report", "-o", "json"))
        assert (found["nodes"]["total"], found["nodes"]["missing"], found["nodes"]["notes"]) == (1, [], [])
        assert found["nodes"]["refused"] == []
        (pool,) = found["pools"]
        assert pool["podsUntilLimit"] is not None
        assert pool["endsFirst"]
        assert "top" in run("kubectl", "__complete", "sockaudit", "t")
    finally:
        kubectl("delete", "namespace", "shop", "--wait=false")
