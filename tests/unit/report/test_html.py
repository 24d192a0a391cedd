"""The page's heat map and its size."""

import re
from pathlib import Path

import pytest
from report.fleets import NOW, Json, limit, node, save, share, workload

from auditor import cli
from auditor.publish.when import timestamp

LARGEST = 2_000_000


def page(capsys: pytest.CaptureFixture[str], path: Path, *nodes: Json) -> str:
    assert cli.main(["report", "--from", save(path / "a", *nodes), "-o", "html"]) == 0
    return capsys.readouterr().out


def test_hot_columns_come_first_and_colours_count_pods_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page(
        capsys,
        tmp_path,
        node(
            "n1",
            limit("aio", 1, 100, **share(1)),
            limit("threads", 75, 100),
            limit("pids", 30, 100, **share(70)),
            limit("keys", 20, 100, "user 0", **share(10)),
            limit("conntrack", 95, 100, "host"),
        ),
    )
    heads = re.findall(r"<th [^>]*>([^<]*)</th>", text.partition("<tbody>")[0])
    assert heads[3:] == ["pids", "conntrack", "keys", "threads", "aio"]
    cells = re.findall(r'<td class="(\w+)" data-label="([\w-]+)" .*?</span>(.*?)</td>', text)
    assert {name: (level, re.sub(r"<.*?>", "", words)) for level, name, words in cells} == {
        "conntrack": ("hot", "95 % "),
        "pids": ("hot", "30 % 0 more pods"),
        "keys": ("warm", "20 % 7 more pods"),
        "threads": ("warm", "75 % "),
        "aio": ("cool", "1 % slots first"),
    }


def test_the_page_stays_under_two_megabytes_whatever_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "<&>" * 80
    nodes = [
        node(
            f"n{number}{long}",
            *(limit(name, 1, 100, **share(1)) for name in ("pids", "aio", f"{number % 30}{long}")),
            pool=f"{number}{long}",
            workloads=[workload(f"svc-{number}-{index}{long}", (2**30 - 8, 2**30 - 8), 9) for index in range(60)],
            at=NOW if number < 100 else NOW - 9999,
            findings=[
                {"id": f"{long}{index}", "rule": long, "message": long * 4, "remedy": long, "since": timestamp(NOW)}
                for index in range(20)
            ],
        )
        for number in range(1000)
    ]
    text = page(capsys, tmp_path, *nodes)
    assert len(text.encode()) < LARGEST
    assert re.search(r"5,\d{3} more: -o json or -o csv", text), "of 6,000 recommended limits"
    assert re.search(r"</strong> \(900\)</summary><p>[^/]* and \d+ more</p>", text), "of the stale"
