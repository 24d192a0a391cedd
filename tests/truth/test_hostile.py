"""A node that does not want to be audited: what is published of it is right, or said to be missed."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from truth.auditing import pod
from truth.sources import sweep
from truth.starting import Start

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.kernel.root import ProcRoot
from auditor.model import NodeInfo
from auditor.publish import object as shape
from auditor.publish.convert import to_status
from auditor.remember import History
from auditor.sweep.bpf import Memory

MOVING, STAYING = int(os.environ.get("SOCKAUDIT_SWARM", "5000")), 40
WITHIN_SECONDS = 60  # of CPU for this whole story, which others on the machine do not take


def living(truth: dict[str, Any]) -> int:
    return Path(truth["living"]).read_text().count("\n")


@pytest.mark.timeout(1200)  # among hundreds that want to run
def test_thousands_of_processes_that_fork_and_die_under_odious_names(start: Start, uid: str, source: str) -> None:
    truth = start("swarm", uid, MOVING, STAYING)
    history, memory, vanished = History(), Memory(), 0
    began = time.process_time()
    for turn in range(4):
        before = living(truth)
        sample = sweep(ProcRoot(), cpu_seconds=0.3, memory=memory)
        after = living(truth)
        vanished += sample.vanished
        usage = attribute(sample, {})
        assessment, history = assess(usage, history, Policy(), 1000.0 + 30 * turn)
        rows = {process.pid: process for process in sample.processes}
        for pid, fds in zip(truth["pids"], truth["fds"], strict=True):
            assert rows[pid].fds == fds
            kinds = rows[pid].kinds
            assert kinds is None or sum(kinds.values()) == fds
        (ours,) = (row for row in usage.owners if row.owner == pod(uid))
        members = [process for process in sample.processes if uid in str(process.cgroups)]
        assert (ours.processes, ours.fds) == (len(members), sum(process.fds or 0 for process in members))
        assert min(before, after) > 0.25 * MOVING, "no swarm"
        assert ours.processes + sample.vanished > 0.5 * min(before, after), "each is there, or was seen to vanish"
        unknown = sum(process.kinds is None and process.owns_table for process in sample.processes)
        told = sum(gap.count or 0 for gap in sample.gaps if gap.id in ("fd-kinds", "denied-fd-kinds"))
        assert unknown == told
        wrong = [gap for gap in sample.gaps if gap.id in ("malformed", "absent-files")]
        assert not wrong
        assert usage.totals.fds == sum(row.fds or 0 for row in usage.owners)
        status = to_status(sample, usage, assessment, NodeInfo("here"), interval=30.0)
        text = json.dumps(shape.plain(status), ensure_ascii=False)
        assert len(text.encode()) < 64 * 1024
        assert text.isprintable()
    assert vanished > 0 or source == "bpf", "nothing died while it was looked at"  # which takes BPF a few milliseconds
    assert time.process_time() - began < WITHIN_SECONDS
