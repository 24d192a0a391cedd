"""Connections to addresses outside, of all pods of the node, against the SNAT ports that it is said to have."""

from collections import Counter

import pytest
from truth.auditing import audit, findings, pod, readings
from truth.sources import sweep
from truth.starting import Start

from auditor.kernel.bpf.records import PEERS_AT_HAND
from auditor.kernel.root import ProcRoot
from auditor.model import Severity

PORTS = 60


@pytest.mark.usefixtures("alone")  # another run goes to the same address
def test_the_node_is_told_where_its_snat_ports_went(start: Start, uid: str) -> None:
    other = f"{uid[:-1]}{'0' if uid[-1] != '0' else '1'}"
    start("egress", uid, 20, 5, 4, 3, 6, 9, 9)
    start("egress", other, 18, 0, 0, 0, 0, 0, 0)
    usage, assessment = audit(snat_ports=PORTS)
    (finding,) = findings(assessment, "snat-ports", pod(uid))
    assert (finding.rule, finding.severity, finding.scope) == (
        "SNATPortsLow",
        Severity.WARNING,
        "node → 203.0.113.10:443",
    )
    assert (finding.used, finding.maximum) == (20 + 4 + 3 + 6 + 18, PORTS)
    assert {one.owner: one.used for one in finding.consumers} == {pod(uid): 33, pod(other): 18}
    assert "51 of 60 connections" in finding.message
    found = {one.scope: one.used for one in readings(assessment, "snat-ports")}
    assert found["node → [2001:db8::10]:443"] == 5
    assert not [scope for scope in found if "10.1.2.3" in scope], "no NAT is asked for a private address"
    assert not [one for one in usage.egress if one.port != 443 and pod(uid) in one.takers], (
        "what was accepted takes no port here"
    )


def test_nobody_judges_what_nobody_set(start: Start, uid: str) -> None:
    start("egress", uid, 20, 0, 0, 0, 0, 0, 0)
    usage, assessment = audit()
    assert "snat-ports" in usage.missing
    assert not readings(assessment, "snat-ports")
    assert "snat-ports" not in assessment.unjudged


def test_each_of_very_many_servers_is_told_apart(start: Start, uid: str) -> None:
    """More of them than the programs tell apart where they sum; one is met over IPv4, and from IPv6 sockets too."""
    further = PEERS_AT_HAND + 4
    truth = start("egress", uid, 3, 0, 4, 0, 0, 0, 0, further)
    ends = Counter[int]()
    for one in sweep(ProcRoot(), snat_ports=PORTS).egress:
        if truth["pid"] in (one.holders or ()):
            ends[one.port] += one.connections
    assert ends == {443: 7} | dict.fromkeys(range(1000, 1000 + further), 1)
