"""Limits of a whole machine, lowered until a small load fills them. Only for a machine that is thrown away afterwards.

Runs inside the emulated kernels: tests/kernels names it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from truth.auditing import audit, findings, pages, pod, sysctl
from truth.starting import Start

from auditor.model import Finding, Severity

Lower = Callable[[str, object], None]


@pytest.fixture
def lower() -> Iterator[Lower]:
    """Set a sysctl until the test ends."""
    before: dict[Path, str] = {}

    def write(name: str, value: object) -> None:
        path = Path("/proc/sys", name)
        before.setdefault(path, path.read_text())
        path.write_text(str(value))

    yield write
    for path, value in before.items():
        path.write_text(value)


def silent(limit: str) -> bool:
    return not findings(audit(sweeps=2)[1], limit)


def only(limit: str, sweeps: int = 1) -> Finding:
    (finding,) = findings(audit(sweeps)[1], limit)
    return finding


def takers(finding: Finding) -> dict[object, int | None]:
    return {share.owner: share.used for share in finding.consumers}


def test_file_handles(start: Start, uid: str, lower: Lower) -> None:
    start("files", uid, 3000, 1)
    assert silent("file-handles")
    for percent, severity in ((80, Severity.WARNING), (95, Severity.CRITICAL)):
        maximum = int(Path("/proc/sys/fs/file-nr").read_text().split()[0]) * 100 // percent
        lower("fs/file-max", maximum)
        finding = only("file-handles")
        assert (finding.rule, finding.severity, finding.maximum) == ("FileHandlesHigh", severity, maximum)
        greatest = finding.consumers[0]
        assert greatest.owner == pod(uid)
        assert greatest.used is not None
        assert 3000 <= greatest.used < 3050
        assert "fs.file-max=65536" in finding.remedy


@pytest.mark.parametrize(
    ("limit", "name", "rule", "remedy"),
    [
        ("pids", "kernel/pid_max", "PIDsHigh", "kernel.pid_max=65536"),
        ("threads", "kernel/threads-max", "ThreadsHigh", "kernel.threads-max=65536"),
    ],
)
def test_tasks_of_the_node(start: Start, uid: str, lower: Lower, limit: str, name: str, rule: str, remedy: str) -> None:
    start("files", uid, 1, 400)
    assert silent(limit)
    tasks = int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    lower(name, tasks * 100 // 85)
    finding = only(limit)
    assert (finding.rule, finding.severity, finding.scope) == (rule, Severity.WARNING, "node")
    assert (finding.consumers[0].owner, finding.consumers[0].used) == (pod(uid), 400)
    assert remedy in finding.remedy


def test_orphans(start: Start, uid: str, lower: Lower) -> None:
    truth = start("queued", uid)
    assert silent("orphans")
    lower("net/ipv4/tcp_max_orphans", truth["orphans"] + 1)
    finding = only("orphans", sweeps=2)
    assert (finding.rule, finding.severity, finding.used) == ("OrphansHigh", Severity.WARNING, truth["orphans"])
    assert takers(finding) == {pod(uid): truth["orphans"]}
    assert "net.ipv4.tcp_max_orphans=8192" in finding.remedy


@pytest.mark.parametrize(
    ("protocol", "rule", "least"), [("tcp", "TCPMemoryHigh", 200), ("udp", "UDPMemoryHigh", 10)], ids=["tcp", "udp"]
)
def test_socket_memory(start: Start, uid: str, lower: Lower, protocol: str, rule: str, least: int) -> None:
    truth = start("queued", uid)
    limit = f"{protocol}-memory"
    assert silent(limit)
    used = pages(protocol.upper())
    assert used > least
    pressure, maximum = used * 10 // 11, used * 5 // 4
    lower(f"net/ipv4/{protocol}_mem", f"{pressure // 2} {pressure} {maximum}")
    finding = only(limit)
    assert (finding.rule, finding.severity, finding.maximum) == (rule, Severity.WARNING, maximum), (
        "at the kernel's mark"
    )
    assert (finding.consumers[0].owner, finding.consumers[0].unit) == (pod(uid), "bytes queued")
    assert (finding.consumers[0].used or 0) >= truth[protocol]
    assert f'net.ipv4.{protocol}_mem="{2 * pressure * 3 // 4} {2 * pressure} {2 * maximum}"' in finding.remedy
    lower(f"net/ipv4/{protocol}_mem", f"{pressure // 2} {pressure} {used * 50 // 49}")
    assert only(limit).severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("limit", "name", "rule", "used", "remedy"),
    [
        ("inotify-watches", "fs/inotify/max_user_watches", "InotifyWatchesHigh", 700, "max_user_watches=524288"),
        ("epoll-watches", "fs/epoll/max_user_watches", "EpollWatchesHigh", 300, "fs.epoll.max_user_watches=1048576"),
    ],
)
def test_watches_of_a_user(
    start: Start, uid: str, user: int, lower: Lower, limit: str, name: str, rule: str, used: int, remedy: str
) -> None:
    start("watches", uid, user, 700, 300, 1)
    assert silent(limit)
    maximum = used * 100 // 85
    lower(name, maximum)
    finding = only(limit)
    assert (finding.rule, finding.severity, finding.scope) == (rule, Severity.WARNING, f"user {user}")
    assert (finding.used, finding.maximum, takers(finding)) == (used, maximum, {pod(uid): used})
    assert remedy in finding.remedy
    lower(name, used)
    assert only(limit).severity is Severity.CRITICAL


def test_what_was_lowered_is_back_and_the_machine_silent() -> None:
    assert sysctl("kernel/pid_max") >= 32_768
    assert audit(sweeps=2)[1].findings == ()
