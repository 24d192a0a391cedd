"""Every limit provoked for real: the right figure, the right owner, the right remedy; and silence when idle.

What is machine-wide is filled, never lowered, and given back when the workload ends.
"""

import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from truth.auditing import audit, findings, is_about, left_to_emulation, pod, readings, sysctl
from truth.starting import Start

from auditor.evaluate import Policy
from auditor.model import UNLIMITED, Finding, PodIdentity, Severity


@pytest.mark.usefixtures("alone")
def test_aio(start: Start, uid: str) -> None:
    assert not findings(audit()[1], "aio")
    used, maximum = sysctl("fs/aio-nr"), sysctl("fs/aio-max-nr")
    asked = maximum * 85 // 100 - used
    start("aio", uid, asked)
    _, assessment = audit()
    (finding,) = findings(assessment, "aio", pod(uid))
    assert (finding.used, finding.maximum) == (sysctl("fs/aio-nr"), maximum)
    assert (finding.rule, finding.severity) == ("AIOHigh", Severity.WARNING)
    assert "fs.aio-max-nr=1048576" in finding.remedy
    (share,) = (share for share in finding.consumers if share.owner == pod(uid))
    assert share.used is not None
    assert asked <= share.used <= asked + 128, "as its ring tells, which is made of whole pages"


@pytest.mark.usefixtures("alone")
def test_ptys(start: Start, uid: str) -> None:
    assert not findings(audit()[1], "ptys")
    room = sysctl("kernel/pty/max") - sysctl("kernel/pty/reserve")
    many = room * 81 // 100
    start("ptys", uid, many)
    _, assessment = audit()
    (finding,) = findings(assessment, "ptys", pod(uid))
    assert finding.used is not None
    assert (finding.used >= many, finding.maximum) == (True, room), "other terminals come and go"
    assert (finding.rule, finding.severity) == ("PTYsHigh", Severity.WARNING)
    greatest = finding.consumers[0]
    assert (greatest.owner, greatest.used) == (pod(uid), many)
    assert "kernel.pty.max=8192" in finding.remedy


def test_socket_memory_and_orphans(start: Start, uid: str) -> None:
    truth = start("queued", uid)
    usage, assessment = audit(policy=Policy({"tcp-memory": (0, 95), "udp-memory": (0, 95), "orphans": (0, None)}))
    (row,) = (row for row in usage.owners if row.owner == pod(uid))
    assert row.sockets is not None
    assert row.sockets.orphans == truth["orphans"]
    assert row.sockets.tcp_queued_bytes is not None
    assert row.sockets.tcp_queued_bytes > truth["tcp"], "what the orphans could not send comes on top"
    assert row.sockets.udp_queued_bytes is not None
    assert row.sockets.udp_queued_bytes >= truth["udp"]
    (tcp,) = findings(assessment, "tcp-memory", pod(uid))
    _, pressure, maximum = map(int, Path("/proc/sys/net/ipv4/tcp_mem").read_text().split())
    assert (tcp.maximum, tcp.severity) == (maximum, Severity.WARNING)
    assert tcp.used is not None
    assert 0 < tcp.used < pressure
    assert (pod(uid), row.sockets.tcp_queued_bytes) in {(share.owner, share.used) for share in tcp.consumers}
    assert f'net.ipv4.tcp_mem="{pressure * 2 * 3 // 4} {pressure * 2} {maximum * 2}"' in tcp.remedy
    (udp,) = findings(assessment, "udp-memory", pod(uid))
    assert (pod(uid), "bytes queued") in {(share.owner, share.unit) for share in udp.consumers}
    (orphans,) = readings(assessment, "orphans")
    assert orphans.used is not None
    assert orphans.used >= truth["orphans"]
    assert orphans.maximum == sysctl("net/ipv4/tcp_max_orphans")
    assert (pod(uid), truth["orphans"]) in {(share.owner, share.used) for share in orphans.consumers}
    quiet = audit(sweeps=2)[1]
    assert not [one for limit in ("tcp-memory", "udp-memory", "orphans") for one in findings(quiet, limit, pod(uid))]


@pytest.mark.usefixtures("alone")
def test_neighbours(start: Start, uid: str) -> None:
    if shutil.which("ip") is None:
        left_to_emulation("no ip(8) here")
    deadline = time.monotonic() + 120  # the kernel takes the namespaces of tests before apart at its leisure
    while findings(audit()[1], "neighbours"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    limit = sysctl("net/ipv4/neigh/default/gc_thresh3")
    if limit > 4096:
        left_to_emulation("too many entries to make")
    bound, permanent = limit * 3 // 4, 150
    start("neighbours", uid, bound, permanent)
    assessment = audit()[1]
    (finding,) = findings(assessment, "neighbours", pod(uid))
    shares = {share.owner: share.used or 0 for share in finding.consumers}
    assert bound <= shares[pod(uid)] < bound + 8, "a bridge makes a few for multicast by itself"
    assert finding.used is not None
    assert bound <= finding.used <= sum(shares.values()) + 8, "permanent entries are beyond the collector's reach"
    assert (finding.maximum, finding.severity, finding.scope) == (limit, Severity.WARNING, "node IPv4")
    assert f"net.ipv4.neigh.default.gc_thresh3={max(4096, 2 * limit)}" in finding.remedy


def test_conntrack(start: Start, uid: str) -> None:
    if shutil.which("nft") is None:
        left_to_emulation("no nft(8) here")
    if not Path("/proc/sys/net/netfilter/nf_conntrack_max").exists():
        left_to_emulation("nf_conntrack is not loaded")
    maximum = sysctl("net/netfilter/nf_conntrack_max")
    if maximum > 300_000:
        left_to_emulation("too many connections to make")
    other = str(uuid.uuid4())
    start("files", other, 1, 1)
    below = start("conntrack", str(uuid.uuid4()), maximum * 45 // 100)
    truth = start("conntrack", uid, maximum * 78 // 100)
    names = {
        uid: PodIdentity("shop", "cart", uid, addresses=("127.0.0.3",)),
        other: PodIdentity("shop", "greedy", other, addresses=("127.0.0.2",)),
    }
    usage, assessment = audit(sweeps=2, names=names)
    looked_into = {one.inode: bool(one.flows) for one in usage.netns}
    assert looked_into[truth["netns"]]
    assert not looked_into[below["netns"]], "it is not half full"
    (netns,) = (netns for netns in usage.netns if netns.inode == truth["netns"])
    assert (netns.owner, netns.conntrack, netns.conntrack_max) == (pod(uid), truth["tracked"], maximum)
    (finding,) = findings(assessment, "conntrack", pod(uid))
    assert (finding.subject.owner, finding.used, finding.severity) == (pod(uid), truth["tracked"], Severity.WARNING)
    assert f"net.netfilter.nf_conntrack_max={max(131_072, 1 << (2 * maximum - 1).bit_length())}" in finding.remedy
    assert {one.scope for one in readings(assessment, "conntrack")} >= {"host", "shop/cart"}
    shares = {share.owner: share.used or 0 for share in finding.consumers}
    owners = {"127.0.0.3": pod(uid), "127.0.0.2": pod(other)}
    for address, made in truth["made"].items():  # one address where the maximum is small
        assert abs(shares[owners[address]] - made) < truth["tracked"] * 0.03, "of a sample"
    assert finding.consumers[0].owner == pod(other)
    assert ". 100 % are udp" in finding.message


def test_watches_and_keys_of_a_user(start: Start, uid: str, source: str, user: int) -> None:
    watches, polled, keys = 700, 300, 180
    assert f"user {user}" not in {one.scope for one in findings(audit()[1], "keys")}
    start("watches", uid, user, watches, polled, keys)
    assessment = audit()[1]
    for limit, used, maximum in (
        ("inotify-watches", watches, sysctl("fs/inotify/max_user_watches")),
        ("epoll-watches", polled, sysctl("fs/epoll/max_user_watches")),
    ):
        (reading,) = (one for one in readings(assessment, limit) if one.scope == f"user {user}")
        exact = source == "bpf" and limit == "inotify-watches"
        assert (reading.maximum, reading.estimate) == (maximum, not exact)
        assert reading.used is not None
        blur = 32 * (os.cpu_count() or 1) if source == "bpf" and not exact else 0  # kept back by single CPUs
        assert abs(reading.used - used) <= blur
        if not blur:
            shares = [(share.owner, share.used) for share in reading.consumers]
            assert shares == [(pod(uid), used)], "once, though shared"
        assert not findings(assessment, limit, pod(uid))
    if sysctl("kernel/keys/maxkeys") != 200:
        left_to_emulation("another quota of keys")
    (finding,) = (one for one in findings(assessment, "keys") if one.scope == f"user {user}")
    assert (finding.used, finding.maximum) == (keys + 1, 200), "and the keyring"
    assert (finding.severity, [share.owner for share in finding.affected]) == (Severity.WARNING, [pod(uid)])
    assert "kernel.keys.maxkeys=1024" in finding.remedy


def test_inotify_instances_of_a_user(start: Start, uid: str, user: int) -> None:
    maximum = sysctl("fs/inotify/max_user_instances")
    held = maximum * 85 // 100
    start("user", user, held, uid)
    (finding,) = findings(audit()[1], "inotify-instances", pod(uid))
    assert (finding.scope, finding.used, finding.maximum) == (f"user {user}", held, maximum)
    assert (finding.rule, finding.severity) == ("InotifyInstancesHigh", Severity.WARNING)
    assert [(share.owner, share.used) for share in finding.consumers] == [(pod(uid), held)]
    assert "fs.inotify.max_user_instances=512" in finding.remedy


def test_time_wait_of_a_namespace(start: Start, uid: str) -> None:
    truth = start("tcp", 1, uid)
    assert not findings(audit(sweeps=2)[1], "time-wait", pod(uid))
    (reading,) = (one for one in readings(audit()[1], "time-wait") if one.subject.owner == pod(uid))
    assert (reading.used, reading.maximum) == (truth["buckets"], truth["time_wait_max"])
    maximum = truth["buckets"] * 100 // 85
    lower = f"echo {maximum} > /proc/sys/net/ipv4/tcp_max_tw_buckets"
    subprocess.run(["nsenter", "--target", str(truth["pid"]), "--net", "sh", "-c", lower], check=True)
    (finding,) = findings(audit(sweeps=2)[1], "time-wait", pod(uid))
    assert (finding.rule, finding.severity, finding.subject.owner) == ("TimeWaitHigh", Severity.WARNING, pod(uid))
    assert (finding.used, finding.maximum) == (truth["buckets"], maximum)
    where = "(in the pod's network namespace;"
    assert (
        f"nsenter --target {truth['pid']} --net sysctl -w net.ipv4.tcp_max_tw_buckets=16384 {where}" in finding.remedy
    )


def test_a_namespaces_own_maximum_below_zero_is_none(start: Start, uid: str) -> None:
    truth = start("tcp", 1, uid)
    lower = "echo -1 > /proc/sys/net/ipv4/tcp_max_tw_buckets"
    subprocess.run(["nsenter", "--target", str(truth["pid"]), "--net", "sh", "-c", lower], check=True)
    usage, assessment = audit(sweeps=2)
    (reading,) = (one for one in readings(assessment, "time-wait") if one.subject.owner == pod(uid))
    assert (reading.used, reading.maximum, reading.percent) == (truth["buckets"], UNLIMITED, None)
    assert "malformed" not in {gap.id for gap in usage.gaps}


def test_inotify_watches_in_a_pool_that_is_full(start: Start, uid: str, source: str, user: int) -> None:
    start("watches", uid, user, 700, 1, 1)
    assessment = audit(policy=Policy({"inotify-watches": (0, None)}))[1]
    (finding,) = (one for one in findings(assessment, "inotify-watches") if one.scope == f"user {user}")
    assert finding.message.startswith(f"user {user} holds {'about ' if source == 'procfs' else ''}700 of ")
    assert "fs.inotify.max_user_watches=" in finding.remedy


def test_tasks_of_a_pods_cgroup(start: Start, uid: str) -> None:
    start("tasks", uid, 60, 20)
    (idle,) = (one for one in readings(audit(sweeps=2)[1], "pids") if one.subject.owner == pod(uid))
    assert (idle.used, idle.maximum, idle.percent) == (20, 60, 33)
    other = str(uuid.uuid4())
    start("tasks", other, 60, 57)
    (finding,) = findings(audit()[1], "pids", pod(other))
    assert (finding.subject.owner, finding.used, finding.maximum) == (pod(other), 57, 60)
    assert (finding.rule, finding.severity) == ("PIDsHigh", Severity.CRITICAL)
    assert "podPidsLimit to 256" in finding.remedy


def test_listeners(start: Start, uid: str) -> None:
    truth = start("listeners", uid, 10)
    usage, assessment = audit(sweeps=2)
    assert usage.listeners is not None
    found = {one.port: one for one in usage.listeners if one.owner == pod(uid)}
    busy, idle = found[truth["busy"]], found[truth["idle"]]
    assert (busy.protocol, busy.address, busy.queue, busy.backlog) == ("tcp", "127.0.0.1", 10, truth["backlog"])
    assert busy.connections == truth["accepted"] + 10, "those that wait are established as well"
    assert busy.drops is not None
    assert busy.drops >= 5
    assert (idle.address, idle.queue, idle.backlog, idle.connections, idle.drops) == ("::", 0, 100, 0, 0)
    if "mptcp" in truth:
        multipath = found[truth["mptcp"]]
        assert (multipath.protocol, multipath.queue, multipath.backlog, multipath.connections) == ("mptcp", 5, 16, 5)
    (finding,) = findings(assessment, "listen-backlog", pod(uid))
    assert (finding.rule, finding.severity) == ("ListenBacklogHigh", Severity.CRITICAL)
    assert (finding.used, finding.maximum, finding.percent) == (10, 10, 100), "full is one more than the backlog"
    assert (finding.subject.owner, finding.scope) == (pod(uid), f"pod {uid} 127.0.0.1:{truth['busy']}")
    assert "net.core.somaxconn=1024 of the pod" in finding.remedy


def test_a_full_queue_of_every_kind(start: Start, uid: str) -> None:
    truth = start("listeners", uid, 10, "all")
    usage, assessment = audit(sweeps=2)
    found = {one.port or one.address: one for one in usage.listeners or () if one.owner == pod(uid)}
    for name, protocol, address in (
        ("six", "tcp", "::1"),
        ("dual", "tcp", "::"),
        ("shared", "tcp", "127.0.0.1"),
        ("path", "unix", truth["path"]),
        ("abstract", "unix", truth["abstract"]),
    ):
        one = found[truth[name]]
        assert (one.protocol, one.address, one.queue, one.backlog, one.percent) == (protocol, address, 3, 2, 100), name
    assert found[truth["shared"]].connections == 6, "two sockets of one address are one listener"
    assert (found[truth["shared"]].drops or 0) > 0
    if "multipath" in truth:
        full = found[truth["multipath"]]
        assert (full.protocol, full.queue, full.backlog) == ("mptcp", 3, 2)
        assert (full.drops or 0) >= 5, "as its first subflow counts them"
    scopes = {finding.scope for finding in findings(assessment, "listen-backlog")}
    assert scopes >= {
        f"pod {uid} [::1]:{truth['six']}",
        f"pod {uid} [::]:{truth['dual']}",
        f"pod {uid} 127.0.0.1:7777",
        f"pod {uid} unix:{truth['path']}",
        f"pod {uid} unix:{truth['abstract']}",
    }


def test_what_is_dropped_sweep_after_sweep_is_told_and_a_total_is_not(start: Start, uid: str) -> None:
    truth = start("listeners", uid, 10)
    rules = {"ListenQueueFull", "UDPReceiveDrops"}
    truth["tell"]("try\n")
    past = audit(sweeps=5)[1].findings
    assert not rules & {one.rule for one in past if is_about(one, pod(uid))}, "what was dropped once is the past"
    assessment = audit(sweeps=4, between=lambda: truth["tell"]("try\n"))[1]
    found = {one.rule: one for one in assessment.findings if one.rule in rules and is_about(one, pod(uid))}
    queue, datagrams = found["ListenQueueFull"], found["UDPReceiveDrops"]
    assert queue.message.startswith(f"pod {uid} drops connections to 127.0.0.1:{truth['busy']}, ")
    assert (queue.used, queue.maximum, queue.subject.owner) == (10, 10, pod(uid))
    assert f" drops datagrams to 127.0.0.1:{truth['deaf']}, " in datagrams.message
    assert "SO_RCVBUF" in datagrams.remedy


def test_bytes_that_nobody_reads(start: Start, uid: str) -> None:
    truth = start("queued", uid)

    def stuck(sweeps: int) -> list[Finding]:
        found = audit(sweeps)[1].findings
        return [one for one in found if one.rule == "SocketQueueStuck" and is_about(one, pod(uid))]

    (finding,) = stuck(sweeps=8)
    assert finding.message.startswith(f"pod {uid}: ")
    assert not stuck(sweeps=3), "not for long enough"
    usage = audit()[0]
    queues = [one for one in usage.queueing if one.owner == pod(uid)]
    assert 16_384 <= sum(one.received for one in queues) <= truth["tcp"]
    assert max(one.received for one in queues) >= 16_384


def test_a_listener_below_its_mark_or_full_for_a_moment_is_silent(start: Start, uid: str) -> None:
    start("listeners", uid, 7)
    assert not findings(audit(sweeps=2)[1], "listen-backlog", pod(uid))
    other = str(uuid.uuid4())
    start("listeners", other, 10)
    assert not findings(audit()[1], "listen-backlog", pod(other))
