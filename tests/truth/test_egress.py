"""Connections to addresses outside, of all pods of the node, against the SNAT ports that it is said to have."""

import pytest
from truth.auditing import audit, findings, pod, readings
from truth.starting import Start

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
