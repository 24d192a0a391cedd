"""A PID namespace of its own: a container, of which the rest is unknown, or a node inside of one, which is whole."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor.kernel.root import ProcRoot
from auditor.sweep import hidden
from auditor.sweep.processes import Row


@dataclass
class Nested(ProcRoot):
    nested = True
    live = True


@pytest.mark.parametrize(
    ("commands", "judged"),
    [(["sleep"], False), (["pause", "sockaudit"], False), (["systemd", "java"], True), (["tini", "k3s-server"], True)],
)
def test_what_is_outside_concerns_a_container_but_not_a_node_inside_of_one(commands: list[str], judged: bool) -> None:  # noqa: FBT001
    (gap,) = hidden.gaps(Nested(), [Row(pid, 0, command, 1) for pid, command in enumerate(commands, 1)])
    assert (gap.id, "process-fds" not in gap.limits) == ("pid-namespace", judged)


def test_a_tree_without_process_1_does_not_hold_all_of_them(tmp_path: Path) -> None:
    (gap,) = hidden.gaps(ProcRoot(str(tmp_path)), [Row(40, 0, "cat", 1)])
    assert gap.id == "hidden-processes"
    assert "without process 1" in gap.detail
    assert "process-fds" in gap.limits
