"""A table of tracked connections that is empty is no sign of health."""

from auditor.kernel.errors import Malformed
from auditor.sweep import dumps
from auditor.sweep.inside import Dump
from auditor.sweep.losses import Losses
from auditor.sweep.processes import Row


def lost(*kinds: str) -> Losses:
    losses = Losses()
    for kind in kinds:
        losses.count(kind, Malformed(kind))
    return losses


def ids(host: Dump, *commands: str, losses: Losses | None = None) -> list[str]:
    rows = [Row(pid, 1, command, 1, kernel_thread=False) for pid, command in enumerate(commands, 1)]
    return [gap.id for gap in dumps._untracked(host, rows, losses or Losses())]


def test_what_cilium_tracks_is_said_to_be_unseen() -> None:
    assert ids(Dump(conntrack=(0, 100)), "systemd") == ["conntrack-empty"]
    assert ids(Dump(conntrack=(7, 100)), "systemd") == []
    assert ids(Dump(conntrack=(7, 100)), "systemd", "cilium-agent") == ["conntrack-ebpf"]


def test_what_could_not_be_read_is_neither_empty_nor_missing() -> None:
    elsewhere, here = lost("mountinfo"), lost("mountinfo", "net/netfilter/nf_conntrack_count")
    assert ids(Dump(), losses=elsewhere) == ["conntrack-empty"]
    assert dumps._pools({1: Dump()}, 1, elsewhere).missing == {"conntrack"}
    assert not dumps._pools({1: Dump(conntrack=(7, 100))}, 1, elsewhere).missing
    assert ids(Dump(), losses=here) == []
    assert not dumps._pools({1: Dump()}, 1, here).missing
    assert ids(Dump(), "cilium-agent", losses=here) == ["conntrack-ebpf"]
