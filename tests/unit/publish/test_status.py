from dataclasses import replace

import pytest
from publish.audits import HOSTILE, NAMES, NODE, crowded, judged, quiet, status, troubled
from samples import FACTS, POD_A, POD_B, cgroup, in_pod, netns, process, sample

from auditor.attribute import attribute
from auditor.evaluate import LIMITS, Policy, assess
from auditor.model import Gap, Listener, NodeFacts, NodeSample, OwnerKind, Peak, SocketGroup, TcpState
from auditor.publish.cadence import essence
from auditor.publish.convert import UNCAPPED, Caps, full_in, to_document
from auditor.publish.fit import HARD_BYTES, RULE_BYTES, fit
from auditor.publish.object import Status, plain, total
from auditor.remember import History

JUDGED = {row.id for row in LIMITS} - {"snat-ports"}  # nobody has set those


def bytes_of(one: Status) -> int:
    return len(one.model_dump_json(by_alias=True, exclude_none=True).encode())


def test_the_summary_is_the_worst_limit_and_the_pod_behind_it() -> None:
    summary = plain(status(troubled()))["summary"]
    assert summary == {
        "limit": "inotify-instances", "scope": "user 0", "percent": 97, "topPod": "shop/cart-7c9",
        "findings": 2, "warning": 0, "critical": 2,
    }  # fmt: skip


def test_a_pod_is_reported_whole() -> None:
    pod = status(troubled()).pods[0]
    assert (pod.namespace, pod.name, pod.uid, pod.workload) == ("shop", "cart-7c9", POD_A, "Deployment/cart")
    assert pod.fds == 960
    assert pod.kinds is not None
    assert sum(pod.kinds.model_dump().values()) == 960
    assert pod.sockets is not None
    assert pod.sockets.tcp is not None
    assert (pod.sockets.tcp.close_wait, pod.sockets.tcp.time_wait, pod.sockets.tcp.fin_wait2) == (812, 20, 0)
    assert pod.worst_process is not None
    assert (pod.worst_process.pid, pod.worst_process.container, pod.worst_process.percent) == (4123, "app", 96)
    assert (pod.worst_process.soft_limit, pod.worst_process.hard_limit) == (1000, 2000)


def test_a_share_in_a_pool_over_warning_outweighs_own_descriptors() -> None:
    pods = {pod.name: number for number, pod in enumerate(status(troubled()).pods)}
    assert pods == {"cart-7c9": 0, "promtail-x2k": 1}
    first = status(troubled()).others[0]
    assert (first.kind, first.name) == ("Unit", "kubelet.service")


def test_unknown_is_absent_and_unlimited_is_a_word() -> None:
    facts = NodeFacts(file_handles=100, file_max=None, tasks=None, pid_max=10)
    limits = {row.name: row for row in status(judged(sample([process(1)], facts=facts))[0]).limits}
    assert limits["file-handles"].limit_state == "Unknown"
    assert plain(limits["file-handles"]) == {
        "name": "file-handles", "scope": "node", "used": 100, "limitState": "Unknown", "peak": 100,
        "peakAt": "1970-01-01T00:16:40Z", "peakSince": "1970-01-01T00:16:40Z", "warning": 70, "critical": 90,
    }  # fmt: skip
    assert "used" not in plain(limits["pids"])
    assert "percent" not in plain(limits["pids"])


def test_a_pod_without_a_name_is_reported_by_uid() -> None:
    audit, _ = judged(sample([process(1, in_pod(POD_A))]), {})
    written = status(audit)
    assert (written.pods[0].uid, written.pods[0].name, written.summary.top_pod) == (POD_A, None, POD_A)


def test_lists_are_capped_and_say_so() -> None:
    written = status(crowded(90), caps=Caps(pods=3, findings=2, limits=4, workloads=5))
    assert (len(written.pods), written.pods_truncated) == (3, 87)
    assert (len(written.findings), written.findings_truncated) == (2, 88)
    assert (len(written.workloads), written.workloads_truncated) == (5, 85)
    assert (len(written.limits), written.limits_truncated) == (4, 89 + len(JUDGED) - 4)
    assert written.others_truncated is None
    assert written.summary.findings == 90


def test_no_limit_is_lost_before_the_lesser_scopes_of_others() -> None:
    names = [row.name for row in status(crowded(90)).limits]
    assert set(names[: len(JUDGED)]) == JUDGED
    assert names[0] == "process-fds"
    assert set(names[len(JUDGED) :]) == {"process-fds"}


def test_listeners_are_published_the_fullest_first_with_their_owner() -> None:
    rows = [Listener(1, "tcp", "::", 80 + n, (n,), queue, 9, 4, 0) for n, queue in ((1, 0), (2, 10), (3, 5))]
    seen = sample([process(1), process(2, in_pod(POD_A)), process(3)], listeners=tuple(rows))
    written = status(judged(seen)[0], caps=Caps(listeners=2))
    assert [(one.port, one.queue) for one in written.listeners] == [(82, 10), (83, 5)]
    assert written.listeners_truncated == 1
    assert plain(written.listeners[0]) == {
        "kind": "Pod", "namespace": "shop", "name": "cart-7c9", "uid": POD_A, "address": "::", "port": 82,
        "protocol": "tcp", "connections": 4, "queue": 10, "backlog": 9, "drops": 0,
    }  # fmt: skip


def test_a_queue_that_is_full_for_a_moment_is_neither_the_summary_nor_worth_a_write() -> None:
    def with_queue(queue: int) -> NodeSample:
        return sample([process(1)], listeners=(Listener(1, "tcp", "::", 80, (1,), queue, 9),))

    (idle, history), (full, _) = judged(with_queue(0)), judged(with_queue(10))
    assert status(full).summary.limit != "listen-backlog"
    assert essence(status(full)) == essence(status(idle))
    stays, history = judged(with_queue(10), history=history)
    stays, _ = judged(with_queue(10), history=history)
    assert (status(stays).summary.limit, status(stays).summary.percent) == ("listen-backlog", 100)
    assert essence(status(stays)) != essence(status(idle))


def test_uncapped_leaves_nothing_out() -> None:
    written = status(crowded(90), caps=UNCAPPED)
    assert len(written.pods) == len(written.findings) == len(written.workloads) == 90
    assert not any("runcated" in key for key in plain(written))


def test_an_ordinary_node_keeps_the_rule() -> None:
    names = {f"{n:08x}": replace(NAMES[POD_A], name=f"cart-{n}", uid=f"{n:08x}") for n in range(110)}
    pods = [process(n + 1, in_pod(f"{n:08x}-0000-0000-0000-000000000000"), fds=20 + n) for n in range(110)]
    written = status(judged(sample(pods), names)[0])
    assert bytes_of(written) <= RULE_BYTES
    assert len(written.pods) >= 10
    assert len(written.pods) + (written.pods_truncated or 0) == 110


@pytest.mark.parametrize("text", ["ä" * 250, '"\\' * 500, "\x1b" * 500, "𐍈" * 60])
def test_hostile_sizes_stay_under_the_hard_stop(text: str) -> None:
    seen, usage, assessment = crowded(120, text)
    gaps = tuple(Gap(f"gap-{n}", text * 8, n, frozenset({text})) for n in range(60))
    written = status((seen, replace(usage, gaps=gaps), assessment))
    assert bytes_of(written) <= HARD_BYTES
    assert len(written.pods) + (written.pods_truncated or 0) == 120
    assert len(written.findings) + (written.findings_truncated or 0) == 120
    assert len(written.coverage.gaps) + (written.coverage.gaps_truncated or 0) == 60
    assert written.findings


def test_findings_are_the_last_to_go() -> None:
    whole = status(crowded(20), caps=UNCAPPED)
    some = fit(whole, rule=24 * 1024, hard=24 * 1024)
    assert not some.workloads
    assert len(some.findings) == 20
    few = fit(whole, rule=8 * 1024, hard=8 * 1024)
    assert not few.pods
    assert 0 < len(few.findings) < 20
    assert fit(whole, rule=1 << 20, hard=1 << 20) == whole


def test_hostile_names_are_cleaned_and_bounded() -> None:
    document = str(plain(status(crowded(1, HOSTILE))))
    assert not {"\x1b", "\n", "\u202e", "\udcff"} & set(document)
    assert status(crowded(1, HOSTILE)).pods[0].name is not None


def test_all_conditions_stand_from_the_first_write_on() -> None:
    conditions = {one.type: one for one in status(quiet()).conditions}
    assert list(conditions) == [
        "Audited", "Complete", "Healthy", "FDPressure", "InotifyPressure", "PortPressure", "SocketMemoryPressure",
        "ConntrackPressure", "PIDPressure",
    ]  # fmt: skip
    assert conditions["FDPressure"].status == "False"
    assert {one.status for name, one in conditions.items() if name.endswith("Pressure")} == {"False"}
    bad = {one.type: one for one in status(troubled()).conditions}
    assert (bad["FDPressure"].status, bad["FDPressure"].reason) == ("True", "ProcessFDsHigh")
    assert (bad["Healthy"].status, bad["InotifyPressure"].status) == ("False", "True")


def test_an_unreadable_limit_makes_its_condition_unknown() -> None:
    facts = NodeFacts(file_handles=1, file_max=10)
    conditions = {one.type: one for one in status(judged(sample([process(1)], facts=facts))[0]).conditions}
    assert (conditions["PIDPressure"].status, conditions["PIDPressure"].reason) == ("Unknown", "Unreadable")
    assert conditions["Healthy"].status == "Unknown"


def test_a_condition_tells_below_its_warning_from_above_it_once() -> None:
    seen = sample([process(1, cgroup("/system.slice/web.service"), fds=870)])
    once, history = judged(seen)
    told = {one.type: one for one in status(once).conditions}
    assert (told["FDPressure"].status, told["FDPressure"].reason) == ("False", "AboveWarningOnce")
    assert (told["Healthy"].status, told["Healthy"].reason) == ("True", "AboveWarningOnce")
    assert "process-fds of web.service 87 %" in told["FDPressure"].message
    assert (told["PIDPressure"].reason, told["PIDPressure"].message) == ("BelowWarning", "")
    again = {one.type: one for one in status(judged(seen, history=history)[0]).conditions}
    assert (again["FDPressure"].status, again["FDPressure"].reason) == ("True", "ProcessFDsHigh")


def test_a_condition_whose_limits_this_node_does_not_have_is_unknown() -> None:
    conditions = {
        one.type: one for one in status(judged(sample([process(1)], missing=frozenset({"conntrack"})))[0]).conditions
    }
    assert (conditions["ConntrackPressure"].status, conditions["ConntrackPressure"].reason) == ("Unknown", "NotAudited")
    assert conditions["Healthy"].status == "True"


@pytest.mark.parametrize(
    ("limit", "condition"),
    [("time-wait", "PortPressure"), ("inotify-instances", "InotifyPressure"), ("conntrack", "ConntrackPressure")],
)
def test_a_condition_is_unknown_while_a_limit_that_feeds_it_is_unread_even_if_nobody_promised_it(
    limit: str, condition: str
) -> None:
    seen = sample([process(1)], gaps=(Gap("denied", "not allowed", 1, frozenset({limit})),))
    usage = attribute(seen, {})
    assessment, _ = assess(usage, History(), Policy(promised=frozenset()), seen.at)
    conditions = {one.type: one for one in status((seen, usage, assessment)).conditions}
    assert (conditions[condition].status, conditions[condition].reason) == ("Unknown", "Unreadable")


def test_a_transition_time_moves_only_with_the_status() -> None:
    before = [plain(one) for one in status(quiet()).conditions]
    after = {one.type: one.last_transition_time for one in status(troubled(), previous=before).conditions}
    assert after["Audited"] == after["PIDPressure"] == "1970-01-01T00:16:40Z"
    assert after["FDPressure"] == after["Healthy"] == "2027-01-15T08:00:00Z"


def test_previous_conditions_may_be_garbage() -> None:
    garbage = [{}, {"type": "Audited"}, {"type": "Healthy", "status": 1}, {"type": "Complete", "lastTransitionTime": 5}]
    times = {one.last_transition_time for one in status(quiet(), previous=garbage).conditions}
    assert times == {"1970-01-01T00:16:40Z"}


def test_what_is_printed_is_an_object() -> None:
    document = to_document(status(quiet()), NODE)
    assert (document["apiVersion"], document["kind"]) == ("sockaudit.io/v1alpha1", "SockAudit")
    assert document["metadata"] == {"name": "node-a", "labels": {"pool": "blue"}}


@pytest.mark.parametrize(
    ("seconds", "word"),
    [(0, "<15m"), (899, "<15m"), (900, "<1h"), (3600, "<6h"), (6 * 3600, "<1d"), (86_399, "<1d"), (86_400, None)],
)
def test_time_to_the_end_in_coarse_words(seconds: float, word: str | None) -> None:
    assert full_in(seconds) == word


def test_totals_are_the_sum_over_owners() -> None:
    _, usage, _ = troubled()
    assert usage.totals.fds == sum(row.fds or 0 for row in usage.owners)
    assert sum(row.owner.kind is OwnerKind.POD for row in usage.owners) == status(troubled()).node.pods


def test_the_runtimes_limit_is_that_of_its_own_process_and_beside_it_stands_what_containers_have() -> None:
    unit = cgroup("/system.slice/containerd.service")
    processes = [
        process(5, unit, command="containerd", fds=90, hard_limit=1_048_576),
        process(10, in_pod(POD_A), fds=9, hard_limit=4096),
        process(11, in_pod(POD_B), command="containerd", fds=9, hard_limit=8192),
    ]
    runs = replace(NODE, runtime="containerd://2.1.4")
    written = status(judged(sample(processes))[0], node=runs)
    assert written.node.runtime_hard_limit == 1_048_576, "a pod does not speak for it"
    assert {one.name: (one.hard_min, one.hard_max) for one in written.workloads} == {
        "cart": (4096, 4096),
        "promtail": (8192, 8192),
    }
    assert (
        status(judged(sample(processes))[0], node=replace(NODE, runtime="cri-o://1.33")).node.runtime_hard_limit is None
    )


def test_pressure_begins_where_the_thresholds_in_force_or_the_kernel_say() -> None:
    def first(use: int, policy: Policy) -> str | None:
        rows = [process(10, in_pod(POD_A), fds=300), process(20, in_pod(POD_B), fds=3, threads=use)]
        seen = sample(rows, facts=replace(FACTS, tasks=use, pid_max=100))
        usage = attribute(seen, NAMES)
        assessment, _ = assess(usage, History(), policy, seen.at)
        return status((seen, usage, assessment)).pods[0].name

    assert first(60, Policy()) == "cart-7c9", "the table's 80 %"
    assert first(60, Policy(thresholds={"pids": (50, 95)})) == "promtail-x2k"
    assert first(85, Policy(thresholds={"pids": (90, 95)})) == "cart-7c9"


def test_it_is_complete_when_every_promised_limit_was_read() -> None:
    def complete(gap: Gap | None, promised: frozenset[str]) -> tuple[str, str, str]:
        seen = sample([process(1)], gaps=(gap,) if gap else ())
        usage = attribute(seen, {})
        assessment, _ = assess(usage, History(), Policy(promised=promised), seen.at)
        (one,) = (one for one in status((seen, usage, assessment)).conditions if one.type == "Complete")
        return one.status, one.reason, one.message

    blind = Gap("denied", "not allowed", 1, frozenset({"conntrack"}))
    assert complete(None, frozenset({"conntrack"})) == ("True", "NothingMissed", "")
    assert complete(blind, frozenset({"conntrack"})) == ("False", "Unreadable", "cannot judge conntrack: not allowed")
    assert complete(blind, frozenset({"pids"})) == ("True", "LimitsRead", "but not seen: not allowed")
    aside = Gap("pod-names", "pods known by uid only", 1)
    assert complete(aside, frozenset({"conntrack"})) == ("True", "LimitsRead", "but not seen: pods known by uid only")


def test_a_row_with_a_figure_that_cannot_be_is_left_out_and_said() -> None:
    seen, usage, assessment = troubled()
    pods = [replace(row, fds=-5) if row.owner.id == POD_A else row for row in usage.owners]
    totals = replace(usage.totals, shared_descriptions=-1)
    peaks = dict.fromkeys(assessment.peaks, Peak(1, 1e30, 0.0))
    written = status((seen, replace(usage, owners=tuple(pods), totals=totals), replace(assessment, peaks=peaks)))
    assert [one.uid for one in written.pods] == [POD_B]
    assert written.node.processes == 3
    assert not [one for one in written.limits if one.used is not None], "no calendar has that moment"
    assert len(written.findings) == 2
    gaps = {one.id: one for one in written.coverage.gaps}
    assert gaps["refused-pods"].count == 1
    assert gaps["refused-pods"].detail == (
        "pods are left out, for something in them cannot be: fds: Input should be greater than or equal to 0"
    )
    assert {"refused-node", "refused-limits"} < gaps.keys()


@pytest.mark.parametrize("facts", [replace(FACTS, tasks=-4), replace(FACTS, pid_max=-1, threads_max=-1)])
def test_a_reading_that_cannot_be_is_unknown(facts: NodeFacts) -> None:
    written = status(judged(sample([process(1)], facts=facts))[0])
    assert written.verdict == "Unknown"
    (pids,) = (one for one in written.limits if one.name == "pids")
    assert (pids.used, pids.limit_state) == (None, "Unknown")


def test_half_open_connections_that_were_not_listed_are_absent_and_in_no_sum() -> None:
    rows = [process(10, in_pod(POD_A), netns=7), process(20, in_pod(POD_B), netns=8)]
    listening = [SocketGroup(space, "tcp", TcpState.LISTEN, (pid,), 1) for space, pid in ((7, 10), (8, 20))]
    one = status(judged(sample(rows, listening, netns=(netns(7, half_open=False), netns(8))))[0])
    unlisted, listed = (next(row for row in one.pods if row.uid == uid) for uid in (POD_A, POD_B))
    assert (total(unlisted.sockets), total(listed.sockets)) == (1, 1)
    assert (unlisted.sockets and unlisted.sockets.tcp and unlisted.sockets.tcp.syn_recv) is None
    assert (listed.sockets and listed.sockets.tcp and listed.sockets.tcp.syn_recv) == 0
    assert "synRecv" not in unlisted.model_dump_json(by_alias=True, exclude_none=True)
