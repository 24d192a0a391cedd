"""Namespaces that the kernel would not name."""

import os
import subprocess
import sys

from auditor.kernel.root import ProcRoot
from auditor.sweep import namespaces
from auditor.sweep.losses import Losses
from auditor.sweep.processes import Row


def row(pid: int, netns: int | None) -> Row:
    return Row(pid, 1, "it", 1, netns=netns, netns_refused=netns is None)


def test_a_member_that_ended_does_not_hide_the_others() -> None:
    inode = os.stat("/proc/self/ns/net").st_ino
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    refused, losses = row(os.getppid(), None), Losses()
    namespaces.complete(ProcRoot(), [row(ended.pid, inode), row(os.getpid(), inode), refused], losses)
    assert refused.netns == inode
    assert not list(losses.gaps())
