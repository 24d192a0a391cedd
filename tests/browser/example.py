"""The fleet of the screenshots in docs/. `python -m browser.example` takes them anew (PYTHONPATH=tests:tests/unit)."""

import contextlib
import io
import tempfile
from pathlib import Path

from browser.headless import DARK, printed, screenshot
from report.fleets import NOW, Json, limit, node, save, share, workload

from auditor import cli
from auditor.publish.when import timestamp

DOCS = Path(__file__).parent.parent.parent / "docs"


def example() -> list[Json]:
    """Three pools; on one node of `workers` inotify instances end after 14 more pods."""
    nodes = []
    for number in range(24):
        pool = ("workers", "ingress", "batch")[number % 3]
        tight = 87 if number == 3 else 20 + 2 * number
        limits = [
            limit("inotify-instances", tight, 128 if pool == "workers" else 1024, "user 0", peak=tight, **share(2)),
            limit("file-handles", 9_000 + 900 * number, 400_000, **share(2_000)),
            limit("pids", 2_000 + 40 * number, 32_768, **share(60)),
            limit("conntrack", 40_000 + 7_000 * number if pool == "ingress" else 3_000, 262_144, "host"),
            limit("ephemeral-ports", 300 * number, 28_232, "web/proxy → 10.2.3.4:5432"),
            limit("tcp-memory", 9_000 + 500 * number, 380_000, **share(900)),
        ]
        soft = (1024, 1024) if number == 7 else (1_048_576, 1_048_576)
        pods = [
            {"namespace": "shop", "name": f"cart-{number}", "fds": 4_000 + 700 * number, "fdsPeak": 30_000},
            {"namespace": "web", "name": f"proxy-{number}", "fds": 900 + 60 * number, "fdsPeak": 4_000},
        ]
        one = node(
            f"{pool}-{number:02}",
            *limits,
            pool=pool,
            at=NOW - 40 * number if number != 11 else NOW - 7_200,
            pods=40 + number,
            workloads=[workload("cart", soft, 21_000), workload("proxy", (65_536, 65_536), 4_000)],
            verdict="Warning" if number == 3 else "OK",
        )
        one["status"]["pods"] = pods
        if number == 3:
            one["status"]["findings"] = [
                {
                    "id": "FDLeak/pod/1",
                    "rule": "FDLeak",
                    "severity": "Warning",
                    "subject": {"kind": "Pod", "namespace": "shop", "name": "cart-3"},
                    "since": timestamp(NOW - 86_400 * 3),
                    "message": "shop/cart-3 (app, pid 4123 java) holds 53,211 of 65,536 file descriptors (81 %)",
                    "remedy": "restart the pod before the end",
                }
            ]
        nodes.append(one)
    return nodes


def page(folder: Path, nodes: list[Json]) -> Path:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(["report", "--from", save(folder / "sockaudits.json", *nodes), "-o", "html"]) == 0
    path = folder / "report.html"
    path.write_text(out.getvalue())
    return path


def pictures(path: Path, folder: Path) -> list[Path]:
    """Take the page as it is seen light, dark, narrow and printed."""
    light, dark, narrow, paper = (folder / f"report-{name}.png" for name in ("light", "dark", "narrow", "printed"))
    screenshot(path, light)
    screenshot(path, dark, DARK)
    screenshot(path, narrow, size=(500, 1000))
    printed(path, paper)
    return [light, dark, narrow, paper]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        pictures(page(Path(name), example()), DOCS)
