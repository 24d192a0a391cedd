"""The report's page in a real browser."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from browser import example, headless
from report.fleets import fleet, limit, node, share, workload

from auditor.evaluate import LIMITS as LIMIT_TABLE

ODD = "<img src=x onerror=wrong.push('run')><script>wrong.push('run')</script>"


@pytest.fixture(autouse=True)
def _chromium() -> None:
    if shutil.which("chromium"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("there is no chromium: tests/bed/packages.sh installs it")
    pytest.skip("there is no chromium")


def test_it_sorts_filters_and_says_on_the_first_screen_what_ends_first(tmp_path: Path) -> None:
    path = example.page(tmp_path, example.example())
    script = """
    const table = document.querySelector("table.heat");
    const names = () => Array.from(table.tBodies[0].rows, row => row.cells[0].textContent);
    const head = table.tHead.rows[0].cells[1];
    head.querySelector("button").click();
    account.up = [names(), head.getAttribute("aria-sort")];
    head.querySelector("button").click();
    account.down = [names(), head.getAttribute("aria-sort")];
    const filter = document.getElementById("filter");
    filter.value = "INGRESS";
    filter.dispatchEvent(new Event("input"));
    account.left = Array.from(table.tBodies[0].rows).filter(row => !row.hidden).length;
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
    account.all = Array.from(table.tBodies[0].rows).filter(row => !row.hidden).length;
    account.bottom = document.querySelector(".say").getBoundingClientRect().bottom;
    account.first = document.querySelector(".say").textContent;
    account.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    account.headless = Array.from(document.querySelectorAll("table")).filter(t => !t.querySelector("th[scope=col]")).length;
    account.charts = document.querySelectorAll("figure[role=img][aria-label] svg").length;
    """
    found = json.loads(headless.play(path, script))
    assert found["wrong"] == []
    assert found["up"] == [["workers", "batch", "ingress"], "ascending"] or found["up"][0][0] == "workers"
    assert found["up"][0] == found["down"][0][::-1]
    assert (found["up"][1], found["down"][1]) == ("ascending", "descending")
    assert (found["left"], found["all"]) == (1, 3)
    assert found["first"] == "Pool workers runs out of inotify-instances first, after 14 more pods on workers-03."
    assert found["bottom"] < 600
    assert (found["wide"], found["headless"]) == (0, 0)
    assert found["charts"] == 6


def test_odd_names_run_nothing_and_nothing_is_fetched(tmp_path: Path) -> None:
    nodes = [node(ODD, limit(ODD, 5, 10, **share(1)), pool=ODD), node("b" * 10_000, limit("pids", 1, 10))]
    nodes[0]["status"]["pods"] = [{"namespace": ODD, "name": ODD, "fds": 5}]
    path = example.page(tmp_path, nodes)
    found = json.loads(headless.play(path, "account.images = document.images.length;"))
    assert found == {"images": 0, "wrong": []}
    text = path.read_text()
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text.replace("&lt;img src=x", ""))
    assert "default-src 'none'" in text


@pytest.mark.timeout(900)
def test_five_thousand_nodes_stay_under_two_megabytes(tmp_path: Path) -> None:
    path = example.page(tmp_path, fleet(5_000))
    assert path.stat().st_size < 2_000_000
    assert json.loads(headless.play(path, "account.rows = document.querySelectorAll('tr').length;"))["rows"] > 100


LIMITS = tuple(row.id for row in LIMIT_TABLE)


def test_nothing_is_cut_off_on_paper_or_on_a_narrow_screen(tmp_path: Path) -> None:
    rows = [limit(name, 50 + number, 100, **share(1)) for number, name in enumerate(LIMITS)]
    nodes = [node(f"n{number}", *rows, pool=f"pool-{number}") for number in range(3)]
    nodes[0]["status"]["workloads"] = [workload("a-service-of-a-long-name" * 4, (1024, 1024), 9000)]
    path = example.page(tmp_path, nodes)
    words = headless.text_on_paper(path)
    assert all(words.count(name) >= 3 for name in LIMITS), "each pool's card names each limit"
    assert "which serves all workloads there" in words
    script = """
    account.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const cell = document.querySelector(".heat td.warm");
    account.label = getComputedStyle(cell, "::before").content;
    account.right = Math.max(...Array.from(document.querySelectorAll(".heat td"), one => one.getBoundingClientRect().right));
    """
    found = json.loads(headless.play(path, script, size=(500, 1000)))
    assert (found["wide"], found["wrong"]) == (0, [])
    assert found["label"] == f'"{LIMITS[-1]}"'
    assert found["right"] <= 500


def test_the_hottest_column_is_seen_without_scrolling(tmp_path: Path) -> None:
    rows = [limit(name, 10, 100, **share(1)) for name in LIMITS[1:]]
    path = example.page(tmp_path, [node("n", *rows, limit(LIMITS[0], 95, 100))])
    script = "account.right = document.querySelector('.heat .hot').getBoundingClientRect().right;"
    assert json.loads(headless.play(path, script, size=(1280, 1000)))["right"] < 640


def test_bars_stand_on_their_tenth(tmp_path: Path) -> None:
    """The bar of 50 to 59 % begins at the tick of 50 %."""
    path = example.page(tmp_path, [node("n", limit("pids", 55, 100))])
    script = """
    const svg = document.querySelector("figure svg");
    const left = one => one.getBoundingClientRect().left;
    const ticks = Array.from(svg.querySelectorAll("[id^=xtick] use"), left);
    const bars = Array.from(svg.querySelectorAll("[id^=patch] path"), one => one.getBoundingClientRect());
    account.off = Math.min(...bars.filter(one => one.height > 20 && one.width < 40).map(one => Math.abs(one.left - ticks[1])));
    """
    assert json.loads(headless.play(path, script))["off"] < 2


def test_light_dark_narrow_and_printed(tmp_path: Path) -> None:
    pictures = example.pictures(example.page(tmp_path, example.example()), tmp_path)
    sizes = {one.stem: one.stat().st_size for one in pictures}
    assert min(sizes.values()) > 10_000, sizes
    assert len({one.read_bytes() for one in pictures}) == 4, "each looks different"
