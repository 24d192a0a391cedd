"""A recorded tree made to break, flood or deceive its reader, through the command line as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kernel import recorded

UID = "5e1f0b8e-3b0a-4b1c-9a55-0123456789ab"
POD = f"0::/kubepods/burstable/pod{UID}/" + "a" * 64 + "\n"
LONG = 100_000
COMMS = [
    b"\x1b]0;owned\x07\x1b[2J",
    b"x) S 1 1 1 0 -1 0",
    b"two\nlines\r",
    b"\xff\xfe\xc3(",
    "\u202egnp.exe\u2066\u200b".encode(),
    b"c" * LONG,
    b"(" * LONG,
    b"",
    b"[bold red]markup[/]",
    b"</script><b>&amp;",
]
CGROUPS = [
    POD,
    f"0::/{'d' * LONG}\n",
    f"0::/{'/'.join(['e' * 255] * (LONG // 256))}\n",
    f"0::/{'x/' * (LONG // 2)}kubepods/pod{UID}/{'b' * 64}\n",
    f"0::/system.slice/{'u' * LONG}.service\n",
    "0::/system.slice/\x1b[31mred\u202e.service\n",
    f"0::/docker/{'c' * LONG}\n",
    f"0::/kubepods/pod{'f' * LONG}/{'a' * 64}\n",
    f"0::/kubepods/pod{UID}/../../../etc\n",
    "no colon at all\n" * 1000 + POD,
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    recorded.node(root)
    (recorded.process(root, 1, comm=b"init") / "cgroup").write_text("0::/init.scope\n")
    for number, comm in enumerate(COMMS):
        recorded.process(root, 100 + number, comm=comm, soft=8, fds=dict.fromkeys(range(7), "/etc/passwd"))
        (root / str(100 + number) / "cgroup").write_text(POD)
    for number, cgroup in enumerate(CGROUPS):
        folder = recorded.process(root, 200 + number, fds={0: "/\x1b[31m" + "n" * 200, 1: "socket:[x]", 2: "pipe:[7]"})
        (folder / "cgroup").write_text(cgroup)
    return root


def scan(tree: Path, *options: str) -> str:
    command = [sys.executable, "-m", "auditor.cli", "scan", "--procfs", str(tree), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_table_stays_a_table(tree: Path) -> None:
    for options in ((), ("--all",)):
        text = scan(tree, *options)
        assert all(line.isprintable() for line in text.splitlines())
        assert max(map(len, text.splitlines())) < 1000, "a sentence is whole in a pipe, and yet a sentence"
        assert len(text) < 20_000


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_the_object_is_right_and_bounded(tree: Path, output: str) -> None:
    text = scan(tree, "-o", output)
    assert "\x1b" not in text
    document: dict[str, Any] = json.loads(text) if output == "json" else yaml.safe_load(text)
    status = document["status"]
    assert len(text) < 100_000
    assert all(one.isprintable() and len(one.encode()) <= 4096 for one in strings(status))
    total = status["node"]["totals"]["fds"]
    assert total == 7 * len(COMMS) + 3 * len(CGROUPS)
    assert sum(row["fds"] for row in [*status["pods"], *status["others"]]) == total
    pods = {pod["uid"]: pod["fds"] for pod in status["pods"]}
    # The one with a pod below thousands of folders and the one after a thousand lines of nonsense are its own as well.
    assert pods[UID] == 7 * len(COMMS) + 3 * 3
    assert set(pods) == {UID}


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [one for key, item in value.items() for one in (key, *strings(item))]
    if isinstance(value, list):
        return [one for item in value for one in strings(item)]
    return [value] if isinstance(value, str) else []
