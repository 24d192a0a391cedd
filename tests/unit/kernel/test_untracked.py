"""A table of tracked connections that is empty is no sign of health."""

from auditor.sweep import dumps
from auditor.sweep.inside import Dump
from auditor.sweep.processes import Row


def ids(host: Dump, *commands: str) -> list[str]:
    rows = [Row(pid, 1, command, 1, kernel_thread=False) for pid, command in enumerate(commands, 1)]
    return [gap.id for gap in dumps._untracked(host, rows)]


def test_what_cilium_tracks_is_said_to_be_unseen() -> None:
    assert ids(Dump(conntrack=(0, 100)), "systemd") == ["conntrack-empty"]
    assert ids(Dump(conntrack=(7, 100)), "systemd") == []
    assert ids(Dump(conntrack=(7, 100)), "systemd", "cilium-agent") == ["conntrack-ebpf"]
