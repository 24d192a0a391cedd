"""Last of all, for it ends the node: without a Node there is no object, and with a new one there is a new object."""

from typing import Any

import pytest
from node.cluster import NODE, SCRIPTS, component, eventually, get, is_ready, kubectl, refused, restart_agent, run

pytestmark = pytest.mark.usefixtures("installed")


def objects() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = get("sockaudits")["items"]
    return items


def test_a_deleted_node_takes_its_object_along_and_a_new_one_gets_its_own() -> None:
    old = get("sockaudit", NODE)["metadata"]
    component("stop", "kubelet")  # it would not register again by itself, but neither may it interfere
    kubectl("delete", "node", NODE)
    eventually(lambda: not objects(), within=90)
    component("start", "kubelet")
    # An agent that outlived it all would write with its next sign of life; a fresh one need not be waited for so long.
    eventually(lambda: is_ready(get("node", NODE)), within=90)
    restart_agent()
    new = eventually(lambda: next(one for one in objects() if one.get("status")), within=180)["metadata"]
    assert new["uid"] != old["uid"]
    assert new["ownerReferences"][0]["uid"] == get("node", NODE)["metadata"]["uid"]
    assert new["ownerReferences"][0]["uid"] != old["ownerReferences"][0]["uid"]


def test_uninstall_leaves_the_definition_and_nothing_else() -> None:
    run("helm", "uninstall", "sockaudit", "--namespace", "sockaudit-system", "--wait")
    assert kubectl("get", "crd", "sockaudits.sockaudit.io", "-o", "name").strip()
    assert "NotFound" in refused("kubectl", "get", "clusterrole", "sockaudit")
    assert "NotFound" in refused("kubectl", "get", "validatingadmissionpolicy", "sockaudit-own-node")
    run(SCRIPTS / "component.sh", "start", "kubelet")
