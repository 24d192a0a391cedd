"""Mangled trees: whatever the files of a captured tree hold, an audit of it ends in a valid object or a `SweepError`.

SOCKAUDIT_FUZZ_SECONDS says for how long. A failure names the seed; SOCKAUDIT_FUZZ_SEED begins with that one.
"""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest

from auditor.capture import capture
from auditor.publish.crd import schema
from auditor.scan import Auditor, SweepError

SECONDS = float(os.environ.get("SOCKAUDIT_FUZZ_SECONDS") or 5)
SEED = int(os.environ.get("SOCKAUDIT_FUZZ_SEED") or time.time_ns())
VALID = jsonschema.Draft202012Validator(schema())
PROCESSES = 12
AUDITS_MIN = 20  # however slow the machine
MUTATIONS = 40
NASTY = (
    b"", b"\0", b"\xff\xfe", b"\n", b" ", b"-1", b"0", b"9" * 30, b"1e9", b"max", b"(", b")", b":", b"/../", b"a" * 9000,
    "٣".encode(), b"\\057\\056\\056", b" - cgroup2 cgroup2 rw\n", b" - nsfs nsfs rw\n", b"\nUid:\t", b"TCP: inuse",
    b"/kubepods/pod11111111-1111-1111-1111-111111111111/" + b"c" * 64, b"\xed\xa0\x80", b"\x1b[2J", b"18446744073709551615",
)  # fmt: skip
LINKS = (
    b"socket:[1]",
    b"socket:[" + b"9" * 25 + b"]",
    b"net:[0]",
    b"net:[x]",
    b"anon_inode:inotify",
    b"\xff",
    b"/dev/ptmx",
)


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few processes of this machine, one with inotify and epoll among them where there is such."""
    tree = tmp_path_factory.mktemp("fuzz") / "tree"
    capture("/proc", str(tree))
    processes = sorted((path for path in tree.iterdir() if path.name.isdigit()), key=_most_telling, reverse=True)
    for process in processes[PROCESSES:]:
        shutil.rmtree(process)
    return tree


def _most_telling(process: Path) -> tuple[bool, bool, bool]:
    fds = process / "fd"
    return (
        process.name == "1",
        (process / "fdinfo").exists(),
        fds.exists() and len(list(fds.iterdir())) in range(1, 200),
    )


def test_no_tree_makes_an_audit_fail(captured: Path, tmp_path: Path) -> None:
    began, seed = time.monotonic(), SEED
    audits = 0
    while audits < AUDITS_MIN or time.monotonic() - began < SECONDS:
        tree = tmp_path / "tree"
        subprocess.run(["cp", "-al", captured, tree], check=True)  # linked, not copied: whatever is mangled is replaced
        try:
            _mangle(tree, random.Random(seed))
            _audit(tree)
        except BaseException as error:
            error.add_note(f"{audits} audits went well; SOCKAUDIT_FUZZ_SEED={seed} fails")
            raise
        shutil.rmtree(tree)
        audits, seed = audits + 1, seed + 1
    seconds = time.monotonic() - began
    print(f"{audits} mangled trees audited in {seconds:.0f} s, seeds from {SEED}")  # noqa: T201 - shown with -s


def _audit(tree: Path) -> None:
    auditor = Auditor(str(tree), "/nonexistent", "node-a", interval=30)
    for _ in range(2):  # rules that need two sweeps
        with suppress(SweepError):
            VALID.validate(auditor.audit().document())


def _mangle(tree: Path, chance: random.Random) -> None:
    entries = sorted(_entries(tree))
    weights = [1 if path.is_symlink() else 20 for path in entries]  # nearly all entries are links of descriptors
    for path in chance.choices(entries, weights, k=chance.randrange(1, MUTATIONS)):
        if path.is_symlink():
            _relink(path, chance)
        elif path.is_dir():
            if chance.random() < 0.1:
                shutil.rmtree(path)
                chance.choice((lambda: None, path.touch, path.mkdir))()
        elif path.exists():
            _rewrite(path, chance)


def _entries(tree: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(tree):
        yield from (Path(folder) / name for name in (*folders, *files))


def _relink(path: Path, chance: random.Random) -> None:
    path.unlink()
    if chance.random() < 0.9:
        os.symlink(chance.choice((*LINKS, bytes(chance.choices(range(1, 256), k=20)))), path)


def _rewrite(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 4)):
        at, end = sorted((chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)))
        match chance.randrange(5):
            case 0:
                data[at : at + 1] = chance.randbytes(1)
            case 1:
                data[at:at] = chance.choice(NASTY)
            case 2:
                data[at : min(end, at + 20)] = chance.choice(NASTY)
            case 3:
                del data[at:end]
            case _:
                data[at:at] = data[at:end]
    path.unlink()
    path.write_bytes(data)
