import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from publish.audits import HOSTILE, crowded, judged, quiet, status, troubled
from rich.console import Console
from samples import FACTS, POD_A, cgroup, in_pod, process, sample

from auditor.model import UNLIMITED, Gap, Listener, NodeFacts
from auditor.publish.convert import UNCAPPED
from auditor.publish.object import Status
from auditor.publish.terminal import ROWS, render
from auditor.remember import History

GOLDEN = Path(__file__).parent / "golden"
GAP = Gap("denied", "the descriptors of processes of other users: root shows them", 3, frozenset({"inotify-instances"}))
BLIND = judged(sample([process(1)], facts=NodeFacts(file_handles=1, file_max=10)))[0]


BUSY = sample(
    [process(1, cgroup("/system.slice/web.service"), fds=870)],
    listeners=(Listener(1, "tcp", "127.0.0.1", 7002, (1,), 6, 5),),
)


def growing() -> Status:
    """A process whose descriptors grow, half a day before their end."""
    history = History()
    for turn in range(3000):
        seen = sample([process(10, in_pod(POD_A), command="java", fds=100 + turn // 5)], at=1_800_000_000.0 + 30 * turn)
        audit, history = judged(seen, history=history)
    return status(audit, UNCAPPED)


SCREENS = {
    "growing": growing(),
    "trouble": status(troubled([GAP]), UNCAPPED),
    "quiet": status(quiet(), UNCAPPED),
    "host": status(judged(sample([process(1, fds=7)]))[0], UNCAPPED),
    "unknown": status(BLIND, UNCAPPED),
}


def screen(
    one: Status, width: int = 100, *, terminal: bool = True, all_rows: bool = False, colour: bool = False
) -> str:
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=terminal,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
    )
    render(one, "node-a", console, all_rows=all_rows)
    return out.getvalue()


@pytest.mark.parametrize("width", [120, 100, 80])
@pytest.mark.parametrize("name", SCREENS)
def test_screens(name: str, width: int) -> None:
    """UPDATE_GOLDEN=1 writes the screens anew; read them before they are committed."""
    seen = "".join(line.rstrip() + "\n" for line in screen(SCREENS[name], width).splitlines())
    golden = GOLDEN / f"{name}-{width}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(seen)
    assert seen == golden.read_text()


@pytest.mark.parametrize("width", [120, 100, 80])
@pytest.mark.parametrize("one", [*SCREENS.values(), status(crowded(30, "a-very-long-name-" * 9), UNCAPPED)])
def test_no_line_is_wider_than_the_terminal(one: Status, width: int) -> None:
    assert max(map(len, screen(one, width).splitlines())) <= width


def test_in_a_pipe_a_sentence_stays_on_one_line() -> None:
    text = screen(SCREENS["trouble"], terminal=False)
    for finding in SCREENS["trouble"].findings:
        if finding.severity != "Info":
            assert any(finding.message in line for line in text.splitlines())
            assert any(line == f"          fix: {finding.remedy}" for line in text.splitlines())
    assert "\x1b" not in text


def test_colour_says_nothing_that_the_words_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m" in screen(SCREENS["trouble"], colour=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in screen(SCREENS["trouble"], colour=True)


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_names_do_nothing_to_the_terminal(terminal: bool) -> None:  # noqa: FBT001 - a table
    text = screen(status(crowded(2, HOSTILE), UNCAPPED), terminal=terminal)
    assert not {"\x1b", "\u202e", "\udcff"} & set(text)
    assert "[bold]red[/bold]" in text.replace("\n", "")


def test_an_object_from_elsewhere_is_not_trusted_either() -> None:
    one = SCREENS["trouble"]
    update = {"message": HOSTILE[:200], "rule": HOSTILE[:50], "remedy": HOSTILE[:200]}
    finding = one.findings[0].model_copy(update=update)
    text = screen(one.model_copy(update={"findings": [finding]}))
    assert not {"\x1b", "\u202e", "\udcff"} & set(text)


def test_ten_rows_or_all() -> None:
    one = status(crowded(ROWS + 5), UNCAPPED)
    short = screen(one)
    assert "(5 more: --all)" in short
    assert short.count("shop/pod-") < screen(one, all_rows=True).count("shop/pod-")
    assert "--all" not in screen(one, all_rows=True)


def test_one_look_says_what_only_a_second_can_tell() -> None:
    once = status(judged(BUSY)[0], UNCAPPED)
    text = screen(once, terminal=False)
    assert "Nothing is near its end" not in text
    assert "a second is needed to tell a moment from a state" in text
    assert "listen-backlog of web.service 127.0.0.1:7002 100 %, process-fds of web.service 87 %" in text
    assert "--count 2" in text


def test_one_look_that_cannot_judge_all_says_so_too() -> None:
    blind = replace(BUSY, facts=NodeFacts(file_handles=1, file_max=10))
    text = screen(status(judged(blind)[0], UNCAPPED), terminal=False)
    assert "UNKNOWN   cannot judge" in text
    assert "process-fds of web.service 87 %" in text


def test_a_second_look_makes_findings_of_it() -> None:
    text = screen(status(judged(BUSY, history=judged(BUSY)[1])[0], UNCAPPED), terminal=False)
    assert "second" not in text
    assert "ListenBacklogHigh" in text


def test_words_for_what_has_no_number() -> None:
    first, *rest = SCREENS["quiet"].limits
    unlimited = first.model_copy(update={"limit": None, "limit_state": "Unlimited", "percent": None})
    assert "unlimited" in screen(SCREENS["quiet"].model_copy(update={"limits": [unlimited, *rest]}))
    assert "unknown" in screen(SCREENS["unknown"])


@pytest.mark.parametrize(("used", "folded"), [(None, False), (0, True), (7, False)])
def test_only_what_is_known_to_be_unused_is_said_to_be_below_one_percent(used: int | None, folded: bool) -> None:  # noqa: FBT001
    facts = replace(FACTS, file_handles=used, file_max=UNLIMITED)
    text = screen(status(judged(sample([process(1)], facts=facts))[0], UNCAPPED), terminal=False)
    below = text.partition("below 1 %: ")[2].partition(" (--all)")[0]
    assert ("file-handles" in below.split(", ")) is folded
    row = ["file-handles", "node", "unknown" if used is None else str(used), "unlimited", "-"]
    assert (row in [line.split() for line in text.splitlines()]) is not folded


def test_a_pod_known_by_uid_only() -> None:
    assert f"pod {POD_A}" in screen(status(judged(sample([process(1, in_pod(POD_A))]), {})[0], UNCAPPED), 120)


def test_the_screen_says_why_it_was_read_by_procfs_and_which_right_would_show_more() -> None:
    why = "BPF cannot be used: CAP_BPF and CAP_PERFMON are needed (load: Operation not permitted)"
    one = SCREENS["quiet"]
    by_procfs = one.model_copy(update={"coverage": one.coverage.model_copy(update={"source": "procfs", "reason": why})})
    assert screen(by_procfs, terminal=False).splitlines()[-1] == f"source:   procfs, for {why}"
    asked_for = one.model_copy(
        update={"coverage": one.coverage.model_copy(update={"source": "procfs", "reason": "asked for"})}
    )
    assert "source:" not in screen(asked_for)


def test_below_80_columns_names_stay_readable() -> None:
    assert "shop/cart-7c9 " in screen(SCREENS["trouble"], 60)


def test_what_cannot_be_judged_is_not_said_to_be_far_from_its_end() -> None:
    one = SCREENS["quiet"]
    assert "Nothing is near its end." in screen(one)
    unknown = one.limits[0].model_copy(update={"used": None, "percent": None})
    assert "Nothing that could be judged is near its end." in screen(
        one.model_copy(update={"limits": [*one.limits, unknown]})
    )
