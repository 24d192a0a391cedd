"""A table of tracked connections that is empty is no sign of health."""

from auditor.kernel.errors import Malformed
from auditor.sweep import dumps
from auditor.sweep.inside import Dump
from auditor.sweep.losses import Losses
from auditor.sweep.processes import Row


def ids(host: Dump, *commands: str) -> list[str]:
    rows = [Row(pid, 1, command, 1, kernel_thread=False) for pid, command in enumerate(commands, 1)]
    losses = Losses()
    losses.count("mountinfo", Malformed("of somebody"))
    found = [gap.id for gap in dumps._untracked(host, rows, losses)]
    assert dumps._pools({1: host}, 1, losses).missing == (frozenset() if host.conntrack else {"conntrack"})
    losses.count("net/netfilter/nf_conntrack_count", Malformed("it"))
    assert "conntrack-empty" not in {gap.id for gap in dumps._untracked(host, rows, losses)}
    assert not dumps._pools({1: host}, 1, losses).missing, "nobody could look"
    return found


def test_what_cilium_tracks_is_said_to_be_unseen() -> None:
    assert ids(Dump(conntrack=(0, 100)), "systemd") == ["conntrack-empty"]
    assert ids(Dump(conntrack=(7, 100)), "systemd") == []
    assert ids(Dump(conntrack=(7, 100)), "systemd", "cilium-agent") == ["conntrack-ebpf"]
