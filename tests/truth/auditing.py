"""Auditing the live kernel, and asking what came of one limit."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import pytest
from truth.sources import sweep

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess
from auditor.kernel.root import ProcRoot
from auditor.model import Assessment, Finding, NodeUsage, Owner, OwnerKind, PodIdentity, Reading
from auditor.remember import History


def pod(uid: str) -> Owner:
    return Owner(OwnerKind.POD, uid)


def audit(
    sweeps: int = 1,
    policy: Policy | None = None,
    between: Callable[[], object] = lambda: None,
    names: Mapping[str, PodIdentity] = MappingProxyType({}),
    snat_ports: int | None = None,
) -> tuple[NodeUsage, Assessment]:
    """Audit so many times, half a minute apart as far as the rules know, and do something after each sweep."""
    history = History()
    for turn in range(sweeps):
        if turn:
            between()
        usage = attribute(sweep(ProcRoot(), snat_ports=snat_ports), names)
        assessment, history = assess(usage, history, policy or Policy(), 1000.0 + 30 * turn)
    return usage, assessment


def readings(assessment: Assessment, limit: str) -> list[Reading]:
    return [reading for reading in assessment.readings if reading.limit == limit]


def findings(assessment: Assessment, limit: str, owner: Owner | None = None) -> list[Finding]:
    """Return those of a limit; with an owner those about it alone, for others may run into theirs on this machine."""
    return [one for one in assessment.findings if one.limit == limit and (owner is None or is_about(one, owner))]


def is_about(finding: Finding, owner: Owner) -> bool:
    """Whether it is the owner's own, or of a pool that it takes from or waits for."""
    return owner in {finding.subject.owner, *(share.owner for share in (*finding.consumers, *finding.affected))}


def left_to_emulation(reason: str) -> NoReturn:
    """End a test that this machine is not made for. The kernels that tests/kernels boots are, and must run it."""
    if "SOCKAUDIT_EMULATED" in os.environ:
        pytest.fail(reason)
    pytest.skip(f"{reason}: tests/kernels runs it on emulated machines")


def sysctl(name: str) -> int:
    return int(Path("/proc/sys", name).read_text())


def pages(protocol: str) -> int:
    """Pages of socket memory, as /proc/net/sockstat counts them."""
    (line,) = (one for one in Path("/proc/net/sockstat").read_text().splitlines() if one.startswith(f"{protocol}:"))
    return int(line.split(" mem ")[1].split()[0])
