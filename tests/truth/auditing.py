"""Auditing the live kernel, and asking what came of one limit."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

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


def findings(assessment: Assessment, limit: str) -> list[Finding]:
    return [finding for finding in assessment.findings if finding.limit == limit]


def sysctl(name: str) -> int:
    return int(Path("/proc/sys", name).read_text())


def pages(protocol: str) -> int:
    """Pages of socket memory, as /proc/net/sockstat counts them."""
    (line,) = (one for one in Path("/proc/net/sockstat").read_text().splitlines() if one.startswith(f"{protocol}:"))
    return int(line.split(" mem ")[1].split()[0])
