"""Several files: which status of a node counts, who is gone, and what older files and a Prometheus still tell."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from report.fleets import NOW, Json, limit, node, report, save, share, workload

from auditor.model.words import TOWARDS
from auditor.report.observation import record
from auditor.report.window import window

DAY = 86_400


def test_a_dump_in_several_files_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = save(tmp_path / "x", node("a", limit("pids", 10, 100, **share(1))))
    second = save(tmp_path / "y", node("b", limit("pids", 60, 100, **share(1)), at=NOW - 30))
    for files in (("--from", first, second), ("--from", first, "--from", second), ("--from", second, first)):
        found = report(capsys, *files)
        assert (found["nodes"]["reporting"], found["nodes"]["gone"]) == (2, [])
        assert (found["pools"][0]["nodes"], found["pools"][0]["tightestNode"]) == (2, "b")


def test_the_youngest_status_of_a_node_counts_wherever_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stands_still = node("a", limit("pids", 10, 100), at=NOW - 2 * DAY)
    newer = node("a", limit("pids", 20, 100), at=NOW - DAY)
    files = [save(tmp_path / "x", stands_still, node("b")), save(tmp_path / "y", newer)]
    found = report(capsys, "--from", *files)["nodes"]
    assert (found["stale"], found["staleSeconds"], found["gone"]) == (["a"], {"a": DAY}, []), "the newest file has it"


def test_nodes_of_older_files_are_gone_also_those_that_never_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = save(tmp_path / "x", node("a", at=NOW - DAY), node("left", at=NOW - DAY), node("silent", at=None))
    never = save(tmp_path / "y", node("bare", at=None))
    found = report(capsys, "--from", old, never, save(tmp_path / "z", node("a")))
    assert (found["nodes"]["gone"], found["nodes"]["missing"]) == (["left", "silent"], ["bare"])
    assert [pool["name"] for pool in found["pools"]] == ["workers"]


def test_the_peak_of_a_scope_that_is_not_named_any_more_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = node(
        "a",
        limit("inotify-instances", 60, 128, "user 1000", peak=112, **share(1)),
        limit("process-fds", 900, 1000, "shop/cart"),
        at=NOW - DAY,
    )
    after = node(
        "a",
        limit("inotify-instances", 50, 128, "user 0", **share(1)),
        limit("process-fds", 300, 65_536, "shop/db"),
    )
    found = report(capsys, "--from", save(tmp_path / "x", before), save(tmp_path / "y", after))
    (pool,) = found["pools"]
    limits = {one["name"]: one for one in pool["limits"]}
    assert (limits["inotify-instances"]["used"], limits["inotify-instances"]["peakPercent"]) == (50, 87)
    assert pool["podsUntilLimit"] == (9 * 128 - 10 * 112) // 10, "one setting binds both"
    assert limits["process-fds"]["peakPercent"] == 90, "of the limit that it had"


def test_what_a_node_that_is_gone_ran_short_of_is_recommended_for_its_pool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = node("spot", limit("conntrack", 90, 100, "host", peak=95, **share(1)), at=NOW - DAY)
    stays = node("a", limit("conntrack", 50, 100, "host", peak=60, **share(1)))
    enough = node("b", limit("conntrack", 50, 512, "host", **share(1)), pool="other")
    found = report(capsys, "--from", save(tmp_path / "x", gone), save(tmp_path / "y", stays, enough))
    (advice,) = [one for one in found["recommendations"] if one["pool"] == "workers"]
    assert (advice["peak"], advice["now"], advice["recommended"]) == (95, 100, 256)
    assert advice["buys"].startswith("62 % headroom at the peak of 95")
    (pool,) = [one for one in found["pools"] if one["name"] == "workers"]
    assert pool["limits"][0]["peakPercent"] == 95


def weekly(peaks: list[int], tmp_path: Path) -> list[str]:
    return [
        save(
            tmp_path / f"week{week}",
            node("a", workloads=[workload("cart", (1024, 1024), peak)], at=NOW - 7 * DAY * (len(peaks) - week - 1)),
        )
        for week, peak in enumerate(peaks)
    ]


@pytest.mark.parametrize(
    ("peaks", "recommended", "words"),
    [
        ([150, 250, 350, 450], 2048, "the 879 that the trend leads to in 30 days (a pod's peak: 450)"),
        ([900, 100], 2048, "twice the 900 that a pod held at its peak"),
        ([450, 350, 250, 150], None, None),
        ([450], None, None),
    ],
)
def test_older_files_and_the_trend_count_for_a_workload(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], peaks: list[int], recommended: int | None, words: str | None
) -> None:
    found: list[Json] = report(capsys, "--from", *weekly(peaks, tmp_path))["recommendations"]
    assert [one["recommended"] for one in found] == ([recommended] if recommended else [])
    assert words is None or words in found[0]["buys"]


def test_peaks_of_workloads_on_nodes_that_are_gone_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = node("spot", workloads=[workload("cart", (65_536, 65_536), 20_000)], at=NOW - DAY)
    stays = node("a", workloads=[workload("cart", (1024, 1024), 600)])
    (advice,) = report(capsys, "--from", save(tmp_path / "x", gone), save(tmp_path / "y", stays))["recommendations"]
    assert (advice["peak"], advice["now"], advice["recommended"]) == (20_000, 1024, 65_536)


def test_peaks_that_somebody_else_remembers_count_where_their_limit_is_known() -> None:
    rows = [
        limit("inotify-instances", 50, 128, "user 0", peak=60),
        limit("ephemeral-ports", 5, 100, "shop/cart"),
        limit("snat-ports", 5, 100, f"node{TOWARDS}10.0.0.1:443"),
    ]
    found = window([[record(node("a", *rows))]])
    found.raise_peaks(
        [
            (("a", "inotify-instances", "user 1000"), 112),
            (("a", "inotify-instances", "user 0"), 70),
            (("a", "ephemeral-ports", "shop/other"), 90),
            (("a", "snat-ports", "node"), 91),
            (("b", "inotify-instances", "user 0"), 128),
        ]
    )
    assert [row.most for row in found.reporting[0].limits] == [112, 5, 91]


@contextmanager
def answering(rows: list[Json], **more: object) -> Iterator[str]:
    """Something that answers all questions as Prometheus does; its URL."""
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}} | more).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def remembered(figure: str, **labels: str) -> Json:
    return {"metric": {"limit": "pids", "scope": "node"} | labels, "value": [NOW, figure]}


WITHOUT = (
    "Prometheus has no peak of {}, so only those of the objects count: see that it scrapes the agents and keeps their "
    "label node"
)
UNREAD = (
    "{} rows of Prometheus lack a node, a limit, a scope or a figure and are left out: see how its scrape configuration "
    "relabels those of the agents"
)
ELSEWHERE = "peaks that Prometheus has of nodes that do not report are in no figure: {}"
WARNS = "Prometheus warns, and peaks may be too low until that is mended: "


@pytest.mark.parametrize(
    ("rows", "warnings", "peak", "notes"),
    [
        ([remembered("50", node="a"), remembered("9", exported_node="b", node="x")], [], 50, []),
        ([], [], 10, [WITHOUT.format("any node that reports")]),
        ([remembered("50")], [], 10, [WITHOUT.format("any node that reports"), UNREAD.format("1 of 1")]),
        (
            [remembered("50", node="10.0.0.1:9100")],
            [],
            10,
            [WITHOUT.format("any node that reports"), ELSEWHERE.format("10.0.0.1:9100")],
        ),
        (
            [remembered("50", node="b"), remembered("NaN", node="a"), remembered("99", node="old")],
            [],
            50,
            [WITHOUT.format("a"), ELSEWHERE.format("old"), UNREAD.format("1 of 3")],
        ),
        (
            [remembered("50", node="a"), remembered("50", node="b")],
            ["store\x1b[31m\n10.0.0.9 " + "x" * 9000, "again", "again"],
            50,
            [f"{WARNS}store?[31m 10.0.0.9 {'x' * 277}…", f"{WARNS}again"],
        ),
        (
            [remembered("50", node="a"), remembered("50", node="b")],
            [*range(8)],
            50,
            [*(f"{WARNS}{number}" for number in range(5)), "3 more warnings of Prometheus"],
        ),
    ],
)
def test_what_prometheus_does_not_remember_is_noted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: list[Json],
    warnings: list[object],
    peak: int,
    notes: list[str],
) -> None:
    path = save(tmp_path / "a.json", *(node(name, limit("pids", 10, 100)) for name in "ab"))
    with answering(rows, warnings=warnings) as url:
        found = report(capsys, "--from", path, "--prometheus", url)
    assert found["nodes"]["notes"] == notes
    assert found["pools"][0]["limits"][0]["peakPercent"] == peak
    assert found["sources"] == ["a.json", *([f"{url} (30 days)"] if peak > 10 else [])]
