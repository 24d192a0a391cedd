"""Two pods of one user; one of them holds all of the user's inotify instances."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from node import workloads
from node.cluster import NODE, apply, events, eventually, finding, kubectl, pod, says

USER = 10_077
pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
def taken() -> Iterator[int]:
    """Instances that the taker got after the sufferer had its one."""
    apply(pod("sufferer", workloads.INOTIFY_SUFFERER, user=USER))
    assert says("sufferer") == {"inotify": 1}
    apply(pod("taker", workloads.INOTIFY_TAKER, user=USER))
    yield says("taker")["inotify"]
    kubectl("delete", "pod", "taker", "sufferer", "--ignore-not-found")


def test_the_finding_names_pool_user_taker_and_sufferer(taken: int) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    assert taken == most - 1
    found = eventually(lambda: finding("InotifyInstancesHigh", f"user {USER}"), within=60)
    assert found["subject"]["kind"] == "Node"
    assert (found["name"], found["scope"]) == ("inotify-instances", f"user {USER}")
    assert (found["severity"], found["used"], found["limit"]) == ("Critical", most, most)
    took = found["consumers"][0]
    assert (took["name"], took["used"]) == ("taker", taken)
    assert "sufferer" in [one["name"] for one in found["affected"]]
    event = eventually(lambda: events(reason="InotifyInstancesHigh"), within=60)[0]
    assert (event["regarding"]["kind"], event["regarding"]["name"]) == ("Node", NODE)
    assert all(word in event["note"] for word in (str(USER), "default/taker 127", "default/sufferer"))
    kubectl("delete", "pod", "taker")
    eventually(lambda: any(one["type"] == "Normal" for one in events(reason="InotifyInstancesHigh")), within=90)
    eventually(lambda: finding("InotifyInstancesHigh", f"user {USER}") is None, within=90)
