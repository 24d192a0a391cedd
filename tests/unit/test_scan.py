"""One scan: a second look where only that tells a moment from a state."""

from pathlib import Path

import pytest
from samples import cgroup, process, sample

from auditor import scan
from auditor.model import NodeSample

WEB = cgroup("/system.slice/web.service")


class Looks:
    """A source that sees one number of descriptors after another."""

    def __init__(self, *fds: int) -> None:
        self._fds = iter(fds)

    def sweep(self) -> NodeSample:
        return sample([process(1, WEB, fds=next(self._fds))])

    def left(self) -> list[int]:
        return list(self._fds)


def auditor(monkeypatch: pytest.MonkeyPatch, looks: Looks, procfs: str = "/proc") -> scan.Auditor:
    monkeypatch.setattr(scan, "Source", lambda *_, **__: looks)
    monkeypatch.setattr(scan, "_SECOND_LOOK_SECONDS", 0.0)
    return scan.Auditor(procfs, "/nonexistent", "node-a", interval=30)


@pytest.mark.parametrize(
    ("fds", "code", "left"),
    [((870, 870), 1, []), ((870, 100), 0, []), ((100, 870), 0, [870]), ((960, 960), 1, [960])],
)
def test_a_single_scan_looks_again_only_where_that_tells(
    monkeypatch: pytest.MonkeyPatch, fds: tuple[int, ...], code: int, left: list[int]
) -> None:
    looks = Looks(*fds)
    (audited,) = auditor(monkeypatch, looks).audits(1)
    assert (audited.exit_code("warning"), looks.left()) == (code, left)


def test_of_several_scans_each_is_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(870, 870, 870)
    audits = auditor(monkeypatch, looks).audits(2)
    assert (next(audits).exit_code("warning"), looks.left()) == (0, [870, 870])


def test_files_are_looked_at_once_for_they_say_the_same_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looks = Looks(870, 870)
    (audited,) = auditor(monkeypatch, looks, str(tmp_path)).audits(1)
    assert (audited.exit_code("warning"), looks.left()) == (0, [870])
