"""The report's page in a real browser."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from browser import example, headless
from report.fleets import fleet, limit, node, share

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


def test_five_thousand_nodes_stay_under_two_megabytes(tmp_path: Path) -> None:
    path = example.page(tmp_path, fleet(5_000))
    assert path.stat().st_size < 2_000_000
    assert json.loads(headless.play(path, "account.rows = document.querySelectorAll('tr').length;"))["rows"] > 100


def test_light_dark_narrow_and_printed(tmp_path: Path) -> None:
    pictures = example.pictures(example.page(tmp_path, example.example()), tmp_path)
    sizes = {one.stem: one.stat().st_size for one in pictures}
    assert min(sizes.values()) > 10_000, sizes
    assert len({one.read_bytes() for one in pictures}) == 4, "each looks different"
