"""TCP memory at the kernel's own pressure mark, lowered for the test to 16 MiB above what the machine uses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from node import workloads
from node.cluster import NODE, apply, eventually, finding, get, kubectl, pod, says
from truth.auditing import pages

pytestmark = pytest.mark.usefixtures("installed")
TCP_MEMORY = Path("/proc/sys/net/ipv4/tcp_mem")
ROOM = 4096  # pages


@pytest.fixture
def mark() -> Iterator[int]:
    """Pages at which the kernel begins to save."""
    before = TCP_MEMORY.read_text()
    pressure = pages("TCP") + ROOM
    TCP_MEMORY.write_text(f"{pressure // 2} {pressure} {2 * pressure}")
    try:
        yield pressure
    finally:
        TCP_MEMORY.write_text(before)


def test_the_pod_with_the_queued_bytes_is_named_while_the_node_is_ready(mark: int) -> None:
    apply(pod("queues", workloads.QUEUES.replace("PAGES", str(mark + ROOM // 4))))
    try:
        assert says("queues")["pages"] > mark
        found = eventually(lambda: finding("TCPMemoryHigh", "node"), within=90)
        assert (found["severity"], found["limit"]) == ("Warning", 2 * mark)
        assert found["used"] >= mark
        took = found["consumers"][0]
        assert took["name"] == "queues"
        assert took["unit"] == "bytes queued"
        conditions = {one["type"]: one["status"] for one in get("node", NODE)["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        assert conditions["MemoryPressure"] == "False"
        print(found["message"])  # noqa: T201 - the figure is worth seeing with -s
    finally:
        kubectl("delete", "pod", "queues")
