"""Every limit provoked for real: the right figure, the right owner, the right remedy; and silence when idle.

What is machine-wide is filled, never lowered, and given back when the workload ends.
"""

import uuid
from pathlib import Path

import pytest
from truth.starting import Start

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.kernel.root import ProcRoot
from auditor.model import Assessment, Finding, NodeUsage, Owner, OwnerKind, Reading, Severity
from auditor.remember import History
from auditor.sweep import sweep


@pytest.fixture
def uid() -> str:
    return str(uuid.uuid4())


def pod(uid: str) -> Owner:
    return Owner(OwnerKind.POD, uid)


def audit(sweeps: int = 1) -> tuple[NodeUsage, Assessment]:
    history = History()
    for turn in range(sweeps):
        usage = attribute(sweep(ProcRoot()), {})
        assessment, history = assess(usage, history, Policy(), 1000.0 + 30 * turn)
    return usage, assessment


def readings(assessment: Assessment, limit: str) -> list[Reading]:
    return [reading for reading in assessment.readings if reading.limit == limit]


def findings(assessment: Assessment, limit: str) -> list[Finding]:
    return [finding for finding in assessment.findings if finding.limit == limit]


def sysctl(name: str) -> int:
    return int(Path("/proc/sys", name).read_text())


def test_aio(start: Start, uid: str) -> None:
    assert not findings(audit()[1], "aio")
    used, maximum = sysctl("fs/aio-nr"), sysctl("fs/aio-max-nr")
    start("aio", uid, maximum * 85 // 100 - used)
    _, assessment = audit()
    (finding,) = findings(assessment, "aio")
    assert (finding.used, finding.maximum) == (sysctl("fs/aio-nr"), maximum)
    assert (finding.rule, finding.severity) == ("AIOHigh", Severity.WARNING)
    assert "fs.aio-max-nr=1048576" in finding.remedy


def test_ptys(start: Start, uid: str) -> None:
    assert not findings(audit()[1], "ptys")
    room = sysctl("kernel/pty/max") - sysctl("kernel/pty/reserve")
    many = room * 81 // 100
    start("ptys", uid, many)
    _, assessment = audit()
    (finding,) = findings(assessment, "ptys")
    assert (finding.used, finding.maximum) == (sysctl("kernel/pty/nr"), room)
    assert (finding.rule, finding.severity) == ("PTYsHigh", Severity.WARNING)
    greatest = finding.consumers[0]
    assert (greatest.owner, greatest.used) == (pod(uid), many)
    assert "kernel.pty.max=8192" in finding.remedy
