from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from samples import CONTAINER, FACTS, HOST_NETNS, POD_A, POD_B, in_pod, netns, process, sample

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.model import (
    UNLIMITED,
    Assessment,
    BudgetHolding,
    Change,
    Gap,
    Netns,
    NodeUsage,
    PodIdentity,
    Severity,
    UserBudget,
    Verdict,
)
from auditor.remember import History

NAMES = {
    POD_A: PodIdentity("shop", "cart-0", POD_A, containers={CONTAINER: "app"}),
    POD_B: PodIdentity("logging", "tail-x", POD_B, containers={CONTAINER: "tail"}),
}


def holding(fds: int | None, soft: int = 1000) -> NodeUsage:
    return attribute(sample([process(1, in_pod(POD_A), fds=fds, soft_limit=soft, command="java")]), NAMES)


def over(usages: Iterable[NodeUsage], history: History | None = None) -> list[Assessment]:
    history, assessments = history or History(), []
    for turn, usage in enumerate(usages):
        assessment, history = assess(usage, history, Policy(), 1000.4 + 30 * turn)
        assessments.append(assessment)
    return assessments


def severities(usages: Sequence[NodeUsage]) -> list[Severity | None]:
    return [max((finding.severity for finding in one.findings), default=None) for one in over(usages)]


W, C = Severity.WARNING, Severity.CRITICAL


@pytest.mark.parametrize(
    ("fds", "expected"),
    [
        ([100, 200], [None, None]),
        ([799, 799], [None, None]),
        ([800, 800], [None, W]),
        ([850], [None]),
        ([850, 100, 850], [None, None, None]),
        ([950], [C]),
        ([900, 900, 960], [None, W, C]),
        ([960, 901, 899, 751, 749], [C, C, W, W, None]),
        ([850, 850, 760, 740], [None, W, W, None]),
    ],
)
def test_thresholds_hysteresis_and_two_sweeps_in_a_row(fds: list[int], expected: list[Severity | None]) -> None:
    assert severities([holding(one) for one in fds]) == expected


def test_a_finding_names_who_and_how_much_and_keeps_the_moment_it_opened() -> None:
    finding = over([holding(900)] * 3)[-1].findings[0]
    assert finding.id == f"ProcessFDsHigh/pod/{POD_A}/app"
    assert finding.message == "shop/cart-0 (app, pid 1 java) holds 900 of 1,000 file descriptors (90 %)"
    assert finding.since == 1030.0
    assert "LimitNOFILE=2048" in finding.remedy


def test_events_say_what_changed_and_nothing_twice() -> None:
    events = [
        [event.change for event in one.events] for one in over([holding(n) for n in (900, 900, 960, 960, 10, 10)])
    ]
    assert events == [[], [Change.OPENED], [Change.WORSENED], [], [Change.CLOSED], []]


def test_an_unknown_figure_neither_opens_nor_closes_anything() -> None:
    def tasks(number: int | None) -> NodeUsage:
        facts = replace(FACTS, tasks=number, pid_max=100, threads_max=1000)
        return attribute(sample([process(1)], facts=facts), {})

    opened, blind, closed = over([tasks(96), tasks(None), tasks(1)])
    assert [finding.rule for finding in opened.findings] == ["PIDsHigh"]
    assert [finding.rule for finding in blind.findings] == ["PIDsHigh", "AuditIncomplete"]
    assert closed.findings == ()


def test_a_blind_sweep_keeps_what_is_open() -> None:
    gap = Gap("denied-fds", "not allowed", 1, frozenset({"process-fds"}))
    blind = attribute(sample([process(1, in_pod(POD_A), fds=None)], gaps=(gap,)), NAMES)
    assert over([holding(960), blind])[-1].verdict is Verdict.CRITICAL


def test_a_pod_that_is_gone_is_evidence() -> None:
    gone = attribute(sample([process(2, in_pod(POD_B))]), NAMES)
    last = over([holding(960), gone])[-1]
    assert (last.findings, [event.change for event in last.events]) == ((), [Change.CLOSED])


def test_a_pod_whose_names_are_away_keeps_its_findings() -> None:
    unnamed = attribute(sample([process(1, in_pod(POD_A), fds=20)]), {})
    assert over([holding(960), unnamed])[-1].verdict is Verdict.CRITICAL


def test_a_restored_finding_goes_on_with_its_since_and_makes_no_event() -> None:
    before = over([holding(960)])[-1]
    history = History.restored(before.findings, before.peaks, before.fds_peaks)
    (after,) = over([holding(900)], history)
    assert (after.events, after.findings[0].since) == ((), before.findings[0].since)
    assert after.peaks["process-fds", "shop/cart-0 app"].value == 960


def test_a_full_inotify_budget_names_the_user_who_took_it_and_who_suffers() -> None:
    processes = [process(1, in_pod(POD_A), uid=10001), process(2, in_pod(POD_B), uid=10001)]
    budget = UserBudget("inotify-instances", 10001, 128, 128, exact=False, holders=(BudgetHolding((1,), 128),))
    finding = over([attribute(sample(processes, budgets=(budget,)), NAMES)])[-1].findings[0]
    assert finding.severity is C
    assert finding.subject.owner is None
    assert finding.message.startswith(
        "user 10001 holds about 128 of 128 inotify instances (100 %); logging/tail-x fails next"
    )
    assert [share.used for share in finding.consumers] == [128]
    assert [share.identity for share in finding.affected] == [NAMES[POD_B]]
    assert "fs.inotify.max_user_instances=512" in finding.remedy


def test_an_unreadable_promised_limit_is_unknown_and_said() -> None:
    facts = replace(FACTS, file_handles=None)
    (assessment,) = over([attribute(sample([process(1)], facts=facts), {})])
    assert assessment.verdict is Verdict.UNKNOWN
    assert assessment.unreadable == {"file-handles"}
    assert [finding.rule for finding in assessment.findings] == ["AuditIncomplete"]


def test_a_limit_that_is_not_promised_may_be_unknown() -> None:
    usage = attribute(sample([process(1)], netns=(Netns(1),)), {})
    assessment, _ = assess(usage, History(), Policy(promised=frozenset({"process-fds"})), 1.0)
    assert assessment.verdict is Verdict.OK


def test_unlimited_is_never_a_percentage() -> None:
    facts = replace(FACTS, file_handles=10**6, file_max=UNLIMITED)
    (assessment,) = over([attribute(sample([process(1)], facts=facts), {})])
    assert assessment.verdict is Verdict.OK
    assert next(one for one in assessment.readings if one.limit == "file-handles").percent is None


def test_time_wait_of_a_pod_is_about_the_pod_and_only_warns() -> None:
    rooms = (netns(HOST_NETNS), netns(7, time_wait_buckets=99, time_wait_max=100))
    (assessment,) = over([attribute(sample([process(1, in_pod(POD_A), netns=7)], netns=rooms), NAMES)])
    assert [(one.rule, one.severity, one.scope) for one in assessment.findings] == [("TimeWaitHigh", W, "shop/cart-0")]
