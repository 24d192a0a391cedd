"""A PID namespace of its own: a container, of which the rest is unknown, or a node inside of one, which is whole."""

from dataclasses import dataclass

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
