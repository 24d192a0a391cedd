"""The rules over trends, from a figure sweep by sweep to a finding and its end."""

from collections.abc import Iterator

from samples import CONTAINER, HOST_NETNS, POD_A, in_pod, netns, process, sample

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess, changes, readings
from auditor.evaluate.causes import Causes
from auditor.model import (
    Assessment,
    Change,
    Finding,
    Gap,
    Kind,
    NodeSample,
    Peer,
    PodIdentity,
    Severity,
    SocketGroup,
    TcpState,
)
from auditor.remember import Composition, History

NAMES = {POD_A: PodIdentity("shop", "cart-0", POD_A, containers={CONTAINER: "app"}, addresses=("10.0.0.9",))}
NETNS = 7


class Node:
    """A node with one pod, swept every 30 s."""

    def __init__(self, history: History | None = None, now: float = 1000.0) -> None:
        self.now = now
        self.history = history or History()

    def sweep(self, fds: int, close_wait: int = 0, limit: int = 4096, files: int = 0) -> Assessment:
        kinds = {Kind.SOCKET: fds - files, Kind.FILE: files}
        held = process(9, in_pod(POD_A), fds=fds, soft_limit=limit, netns=NETNS, kinds=kinds, command="java")
        peers = (Peer("10.0.0.9", 5432, close_wait - 1), Peer("10.0.0.8", None, 1))
        closing = SocketGroup(NETNS, "tcp", TcpState.CLOSE_WAIT, (9,), close_wait, peers=peers)
        sockets = [closing] if close_wait else []
        return self.judge(sample([process(1), held], sockets))

    def judge(self, seen: NodeSample) -> Assessment:
        self.now += 30
        assessment, self.history = assess(attribute(seen, NAMES), self.history, Policy(), self.now)
        return assessment

    def leak(self, sweeps: int, start: float, per_sweep: float, **fields: int) -> Iterator[Assessment]:
        for turn in range(sweeps):
            yield self.sweep(int(start + turn * per_sweep), **fields)


def of(rule: str, assessment: Assessment) -> Finding | None:
    return next((one for one in assessment.findings if one.rule == rule), None)


def test_a_leak_is_information_then_a_warning_and_names_pace_end_and_kind() -> None:
    node = Node()
    first = warned = None
    for assessment in node.leak(1500, 100, 1, limit=4096):
        found = of("FDLeak", assessment)
        first = first or found
        if found and found.severity is Severity.WARNING and warned is None:
            warned = found
    assert first is not None
    assert first.severity is Severity.INFO
    assert first.id == f"FDLeak/pod/{POD_A}/app"
    assert "shop/cart-0 (app, pid 9 java) holds 2" in first.message
    assert ", +2/min for 5" in first.message
    assert "100 % of the growth is sockets" in first.message
    assert warned is not None
    assert warned.since == first.since
    assert warned.percent is not None
    assert warned.percent < 80, "before the limit's own rule"
    true_end = 1000 + 30 * (4096 - 100)
    for found in (first, warned):
        assert found.exhausts_at is not None
        assert abs(found.exhausts_at - true_end) < 0.05 * true_end
    assert "restart the pod before the end" in warned.remedy


def test_what_leaked_and_is_given_back_is_closed_at_once() -> None:
    node = Node()
    *_, last = node.leak(400, 500, 2)
    open_now = of("FDLeak", last)
    assert open_now is not None
    after = node.sweep(100)
    assert of("FDLeak", after) is None
    (event,) = changes([open_now], after.findings, node.now, Severity.INFO)
    assert (event.change, event.finding.rule) == (Change.CLOSED, "FDLeak")


def test_a_level_is_no_leak_and_an_unknown_figure_closes_nothing() -> None:
    node = Node()
    assert all(of("FDLeak", one) is None for one in node.leak(400, 3000, 0))
    node = Node()
    for turn in range(400):
        last = node.sweep(500 + 2 * turn, close_wait=20 + turn)
    leak, closing = of("FDLeak", last), of("CloseWaitLeak", last)
    assert leak is not None
    assert closing is not None
    denied = Gap("denied-fds", "not allowed", 1, frozenset({"process-fds"}))
    uncounted = process(9, in_pod(POD_A), fds=None, soft_limit=4096, netns=NETNS)
    assert of("FDLeak", node.judge(sample([process(1), uncounted], gaps=(denied,)))) == leak
    counted = process(9, in_pod(POD_A), fds=1300, soft_limit=4096, netns=NETNS)
    unlisted = (netns(HOST_NETNS), netns(NETNS, dumped=False))
    assert of("CloseWaitLeak", node.judge(sample([process(1), counted], netns=unlisted))) == closing
    after = node.sweep(100)
    assert (of("FDLeak", after), of("CloseWaitLeak", after)) == (None, None)


def test_a_restored_finding_waits_until_growth_could_be_seen_again() -> None:
    node = Node()
    *_, last = node.leak(400, 500, 2)
    open_before = of("FDLeak", last)
    assert open_before is not None
    again = Node(History.restored([open_before], {}, {}), node.now)
    for assessment in again.leak(100, 1300, 2):
        found = of("FDLeak", assessment)
        assert found is not None
        assert (found.since, found.id) == (open_before.since, open_before.id)
    levelled = Node(History.restored([open_before], {}, {}), node.now)
    *_, end = levelled.leak(200, 1300, 0)
    assert of("FDLeak", end) is None
    dropped = Node(History.restored([open_before], {}, {}), node.now)
    assert of("FDLeak", dropped.sweep(200)) is None


def test_close_wait_that_grows_is_told_apart() -> None:
    node = Node()
    found = None
    for turn in range(300):
        found = of("CloseWaitLeak", node.sweep(600, close_wait=20 + turn)) or found
    assert found is not None
    assert found.message.startswith("shop/cart-0 holds ")
    assert "sockets in CLOSE_WAIT to 10.0.0.9:5432 (shop/cart-0), +2/min for " in found.message
    assert of("FDLeak", node.sweep(600, close_wait=320)) is None, "the descriptors themselves do not grow"
    assert "no sysctl ends CLOSE_WAIT" in found.remedy


def test_one_connection_of_a_sample_is_no_cause() -> None:
    for looked_at, blamed in ((1, ()), (2, ("10.0.0.8:5432",))):
        peer = Peer("10.0.0.8", 5432, 32 * looked_at, 32)
        held = SocketGroup(NETNS, "tcp", TcpState.ESTABLISHED, (9,), 100, peers=(peer,))
        usage = attribute(sample([process(9, in_pod(POD_A), kinds={Kind.SOCKET: 100}, fds=100)], [held]), NAMES)
        (reading,) = (one for one in readings.process_fds(usage) if one.subject.identity)
        assert Causes.of_node(usage, History()).of(reading, 0.0).peers == blamed


def test_what_grows_is_told_from_what_there_is_most_of() -> None:
    node = Node()
    found = None
    for turn in range(400):
        found = of("FDLeak", node.sweep(1600 + turn, close_wait=100 + turn, files=1500)) or found
    assert found is not None
    end = "100 % of the growth is TCP sockets, most of them in CLOSE_WAIT to 10.0.0.9:5432 (shop/cart-0)"
    assert found.message.endswith(end)


def test_a_day_of_kinds_tells_what_grew_since_when() -> None:
    day = Composition()
    for hour in range(30):
        day = day.observe({Kind.FILE: hour, Kind.PIPE: 7}, 3600.0 * hour)
        day = day.observe({Kind.FILE: 10_000}, 3600.0 * hour + 30)  # within the hour: not kept
    now = {Kind.FILE: 40, Kind.PIPE: 3}
    assert day.growth(now, 3600.0 * 20)[Kind.FILE] == 20
    assert day.growth(now, 3600.0 * 20)[Kind.PIPE] == -4
    assert day.growth(now, 0.0)[Kind.FILE] == 34, "the oldest that is kept"
    assert Composition().growth(now, 0.0) == {}
