"""Ephemeral ports of a namespace that has a hundred: what is said, and where connect() then fails."""

import errno
import os
import socket
import struct

import pytest
from truth.auditing import audit, findings, pod, readings
from truth.starting import Start

from auditor.model import Reading, Severity

MANY_RESERVED = ",".join(map(str, range(20001, 30001, 2))) + ",40010-40019"
IP_LOCAL_PORT_RANGE = 51  # include/uapi/linux/in.h


def worst(uid: str) -> Reading:
    return max(
        (one for one in readings(audit()[1], "ephemeral-ports") if one.subject.owner == pod(uid)),
        key=lambda one: one.percent or 0,
    )


@pytest.mark.parametrize(
    ("way", "reuse", "reserved", "used", "limit"),
    [
        ("plain", 0, "", 85, 100),
        ("plain6", 0, "", 85, 100),
        ("plain", 0, "40010-40019,40099,50000-50005", 76, 89),
        pytest.param("plain", 0, MANY_RESERVED, 77, 90, id="30 KB of reserved ports"),
        ("listening", 0, "", 84, 100),
        ("bound", 0, "", 85, 100),
        ("waiting", 0, "", 85, 100),
        ("udp", 0, "", 85, 100),
        ("udp", 0, "40000-40009", 80, 90),
    ],
)
def test_connect_fails_where_the_figure_says(
    start: Start, uid: str, way: str, reuse: int, reserved: str, used: int, limit: int
) -> None:
    truth = start("ports", uid, way, used, reuse, reserved)
    listens = way == "listening"  # its port is taken as well
    assessment = audit(sweeps=2)[1]
    (finding,) = findings(assessment, "ephemeral-ports", pod(uid))
    assert (finding.rule, finding.severity, finding.subject.owner) == ("EphemeralPortsLow", Severity.WARNING, pod(uid))
    assert (finding.used, finding.maximum) == (used + listens, limit)
    if way.startswith(("plain", "waiting", "listening")):
        assert f" towards {'[::1]' if way.endswith('6') else '127.0.0.1'}:9000 " in finding.message
    further = int(truth["tell"]("more\n"))
    assert used + listens + further == limit, "and there connect() failed"
    (full,) = findings(audit()[1], "ephemeral-ports", pod(uid))
    assert (full.severity, full.percent) == (Severity.CRITICAL, 100)


@pytest.mark.parametrize("reuse", [1, 2])
def test_what_waits_gives_way_where_the_kernel_reuses_it(start: Start, uid: str, reuse: int) -> None:
    truth = start("ports", uid, "waiting", 85, reuse, "")
    truth["tell"]("2.2\n")
    assert worst(uid).used == 0, "over loopback both settings reuse what has waited for a second"
    assert not findings(audit(sweeps=2)[1], "ephemeral-ports", pod(uid))
    assert int(truth["tell"]("more\n")) >= 100, (
        "and the whole range can be had"
    )  # and again what has waited for a second


def test_a_server_of_many_clients_takes_no_port(start: Start, uid: str) -> None:
    """The accepted ends have the server's port; the clients' own go to that one destination."""
    start("ports", uid, "plain", 60, 0, "")
    reading = worst(uid)
    assert (reading.used, reading.maximum) == (60, 100)
    assert reading.scope == f"pod {uid} → 127.0.0.1:9000"
    assert not findings(audit(sweeps=2)[1], "ephemeral-ports", pod(uid))


def test_far_from_the_limit_the_number_of_sockets_is_the_bound(start: Start, uid: str) -> None:
    start("ports", uid, "plain", 9, 0, "")
    reading = worst(uid)
    assert (reading.used, reading.estimate, reading.scope) == (19, True, f"pod {uid}"), "two ends each, and the server"


def has_own_ranges() -> bool:
    """Whether this kernel knows IP_LOCAL_PORT_RANGE: every one since Linux 6.3, and some before."""
    with socket.socket() as one:
        try:
            one.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", 0))
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise
            assert tuple(map(int, os.uname().release.split(".")[:2])) < (6, 3)
            return False
    return True


@pytest.mark.source("bpf")
def test_a_range_that_only_some_sockets_have(start: Start, uid: str) -> None:
    """No other interface shows it: procfs sees the range of the namespace alone."""
    if not has_own_ranges():
        return
    truth = start("ports", uid, "own", 85, 0, "")
    (finding,) = findings(audit(sweeps=2)[1], "ephemeral-ports", pod(uid))
    assert (finding.used, finding.maximum, finding.subject.owner) == (85, 100, pod(uid))
    assert "85 of 100 ephemeral ports of its IP_LOCAL_PORT_RANGE 40000-40099" in finding.message
    assert int(truth["tell"]("more\n")) == 15, "and there connect() failed"
