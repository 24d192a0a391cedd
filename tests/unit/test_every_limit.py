"""Every limit by hand: when it speaks, of whom, and what it says to do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from samples import CONTAINER, FACTS, HOST_NETNS, POD_A, POD_B, POOLS, cgroup, in_pod, netns, process, sample

from auditor.attribute import attribute
from auditor.evaluate import Policy, assess, remedies
from auditor.model import (
    UNLIMITED,
    Assessment,
    BudgetHolding,
    CgroupTasks,
    Egress,
    Finding,
    Listener,
    NodeSample,
    Owner,
    OwnerKind,
    Peer,
    PodIdentity,
    PodShare,
    Pool,
    PortUse,
    Process,
    ProcessName,
    Reading,
    Severity,
    SocketGroup,
    TcpState,
    UserBudget,
)
from auditor.remember import History, summed

NAMES = {
    POD_A: PodIdentity("shop", "cart-0", POD_A, containers={CONTAINER: "app"}),
    POD_B: PodIdentity("logging", "tail-x", POD_B, containers={CONTAINER: "tail"}, addresses=("10.0.0.8",)),
}
FOREIGN = "f" * 64
PROCESSES = (process(1), process(10, in_pod(POD_A), netns=7), process(20, in_pod(POD_B), netns=8))


def judged(seen: NodeSample, sweeps: int = 1) -> Assessment:
    usage, history = attribute(seen, NAMES), History()
    for turn in range(sweeps):
        assessment, history = assess(usage, history, Policy(), 1000.0 + 30 * turn)
    return assessment


def only(assessment: Assessment) -> Finding:
    (finding,) = assessment.findings
    return finding


def takers(finding: Finding) -> list[tuple[str, int | None, str | None]]:
    return [
        (
            f"{share.identity.namespace}/{share.identity.name}" if share.identity else share.owner.kind,
            share.used,
            share.unit,
        )
        for share in finding.consumers
    ]


def pooled(pool: Pool) -> tuple[Pool, ...]:
    return tuple(pool if (one.limit, one.scope) == (pool.limit, pool.scope) else one for one in POOLS)


def with_pool(pool: Pool, sockets: Sequence[SocketGroup] = (), **fields: Any) -> NodeSample:
    return sample(PROCESSES, sockets, pools=pooled(pool), **fields)


W, C = Severity.WARNING, Severity.CRITICAL

QUIET = [
    Pool("aio", 79, 100),
    Pool("ptys", 79, 100),
    Pool("orphans", 79, 100),
    Pool("tcp-memory", 699, 1000, pressure=700),
    Pool("udp-memory", 699, 1000, pressure=700),
    Pool("neighbours", 69, 100, "IPv6"),
]
LOUD = [
    (Pool("aio", 80, 100), W, "AIOHigh", "fs.aio-max-nr=1048576"),
    (Pool("aio", 95, 100), C, "AIOHigh", "no restart"),
    (Pool("ptys", 2900, 3072), W, "PTYsHigh", "kernel.pty.max=8192"),
    (Pool("orphans", 100, 100), W, "OrphansHigh", "net.ipv4.tcp_max_orphans=8192 (up to 512 MiB"),
    (Pool("tcp-memory", 700, 1000, pressure=700), W, "TCPMemoryHigh", 'net.ipv4.tcp_mem="1050 1400 2000" (up to 7 MiB'),
    (Pool("tcp-memory", 950, 1000, pressure=700), C, "TCPMemoryHigh", "takes effect at once"),
    (Pool("udp-memory", 950, 1000, pressure=700), C, "UDPMemoryHigh", 'net.ipv4.udp_mem="1050 1400 2000"'),
    (Pool("neighbours", 720, 1024, "IPv4"), W, "NeighboursHigh", "net.ipv4.neigh.default.gc_thresh3=4096"),
    (Pool("neighbours", 1000, 1024, "IPv6"), C, "NeighboursHigh", "net.ipv6.neigh.default.gc_thresh1=1024 "),
]


@pytest.mark.parametrize("pool", QUIET, ids=lambda pool: pool.limit)
def test_below_its_mark_a_pool_is_silent(pool: Pool) -> None:
    assert judged(with_pool(pool), 2).findings == ()


@pytest.mark.parametrize(("pool", "severity", "rule", "remedy"), LOUD)
def test_a_full_pool_is_about_the_node_and_names_the_knob(
    pool: Pool, severity: Severity, rule: str, remedy: str
) -> None:
    finding = only(judged(with_pool(pool), 2))
    assert (finding.rule, finding.severity, finding.limit, finding.subject.owner) == (rule, severity, pool.limit, None)
    assert (finding.used, finding.maximum) == (pool.used, pool.maximum)
    assert remedy in finding.remedy
    assert f"({finding.percent} %)" in finding.message


def test_the_operators_threshold_outweighs_the_pressure_mark() -> None:
    usage = attribute(with_pool(Pool("tcp-memory", 500, 1000, pressure=700)), NAMES)
    assessment, _ = assess(usage, History(), Policy({"tcp-memory": (50, 60)}), 1.0)
    assert only(assessment).severity is W


def test_socket_memory_is_by_owner_in_bytes_queued() -> None:
    groups = [
        SocketGroup(7, "tcp", TcpState.ESTABLISHED, (10,), 3, 9000),
        SocketGroup(7, "tcp", TcpState.FIN_WAIT1, (), 2, 500),
        SocketGroup(8, "tcp", TcpState.ESTABLISHED, (20,), 1, 100),
        SocketGroup(8, "udp", None, (20,), 1, 7777),
    ]
    tcp = only(judged(with_pool(Pool("tcp-memory", 960, 1000, pressure=700), groups)))
    assert takers(tcp) == [("shop/cart-0", 9500, "bytes queued"), ("logging/tail-x", 100, "bytes queued")]
    assert "past the pressure mark of 700" in tcp.message
    udp = only(judged(with_pool(Pool("udp-memory", 960, 1000, pressure=700), groups)))
    assert takers(udp) == [("logging/tail-x", 7777, "bytes queued")]
    orphans = only(judged(with_pool(Pool("orphans", 99, 100), groups), 2))
    assert takers(orphans) == [("shop/cart-0", 2, None)]


def test_a_pool_that_descriptors_show_is_by_holder_and_one_of_namespaces_by_who_answers() -> None:
    ptys = only(judged(with_pool(Pool("ptys", 96, 100, holders=(BudgetHolding((10, 20), 5), BudgetHolding((20,), 9))))))
    assert takers(ptys) == [("logging/tail-x", 14, None), ("shop/cart-0", 5, None)]
    entries = Pool("neighbours", 96, 100, "IPv4", by_netns={7: 90, HOST_NETNS: 4, 999: 2})
    assert takers(only(judged(with_pool(entries)))) == [("shop/cart-0", 90, None), (OwnerKind.HOST, 6, None)]


def test_conntrack_binds_each_namespace_by_itself() -> None:
    def tracking(host: int, pod: int) -> NodeSample:
        return sample(PROCESSES, netns=(netns(HOST_NETNS, conntrack=host), netns(7, conntrack=pod), netns(8)))

    assert judged(tracking(74, 74), 2).findings == ()
    finding = only(judged(tracking(75, 74)))
    assert (finding.rule, finding.scope, finding.severity, finding.subject.owner) == ("ConntrackHigh", "host", W, None)
    assert "nf_conntrack_max=131072 on the host (about 40 MiB" in finding.remedy
    assert judged(tracking(0, 80)).findings == (), "of one pod it takes two sweeps"
    finding = only(judged(tracking(0, 80), 2))
    assert (finding.scope, finding.subject.identity) == ("shop/cart-0", NAMES[POD_A])
    scopes = [one.scope for one in judged(tracking(0, 1)).readings if one.limit == "conntrack"]
    assert scopes == ["host", "shop/cart-0"], "a namespace that tracks nothing is left out, but for the host's"


def test_namespaces_that_are_nobodys_speak_each_for_itself_and_those_of_one_owner_as_one() -> None:
    pinned = [netns(inode, time_wait_buckets=inode, time_wait_max=1000) for inode in (50, 70, 7, 8)]
    rows = [process(1), process(10, in_pod(POD_A), netns=7), process(11, in_pod(POD_A), netns=8)]
    readings = [one for one in judged(sample(rows, netns=pinned)).readings if one.limit == "time-wait"]
    assert [(one.key, one.scope, one.used) for one in readings] == [
        ("netns/50", "netns 50", 50),
        ("netns/70", "netns 70", 70),
        (f"netns/pod/{POD_A}", "shop/cart-0", 8),
    ]


def test_each_namespace_without_an_owner_has_a_finding_of_its_own_for_as_long_as_it_is_full() -> None:
    rows = [process(1), *(process(pid, netns=pid, command="curl", start=9) for pid in (50, 60, 70))]

    def towards(*full: tuple[int, int]) -> NodeSample:
        return sample(rows, ports=tuple(PortUse(n, "tcp", used, 100, "10.0.0.7", "10.9.0.1", 443) for n, used in full))

    usages = [attribute(one, NAMES) for one in (towards((50, 97), (60, 96), (70, 90)), towards((60, 96), (70, 10)))]
    first, history = assess(usages[0], History(), Policy(), 1000.0)
    assert [one.id.split("/")[2] for one in first.findings] == ["50", "60", "70"]
    assert first.findings[0].message.startswith("netns 50 (pid 50 curl) has taken 97 of 100 ephemeral ports")
    second, _ = assess(usages[1], history, Policy(), 1030.0)
    assert [(one.id, one.message.split()[1]) for one in second.findings] == [(first.findings[1].id, "60")]


def test_a_namespace_keeps_its_name_when_somebody_of_the_host_comes_by() -> None:
    spaces = (netns(7, time_wait_buckets=90), netns(9, time_wait_buckets=90))
    docker = cgroup(f"/docker/{CONTAINER}")
    guests = [process(2, netns=7, start=1), process(30, docker, netns=9, start=5), process(40, SSHD, netns=9, start=6)]
    readings = [one for one in judged(sample([*PROCESSES, *guests], netns=spaces)).readings if one.limit == "time-wait"]
    assert [(one.scope, one.subject.owner) for one in readings] == [
        ("shop/cart-0", Owner(OwnerKind.POD, POD_A)),
        (f"container {CONTAINER[:12]}", Owner(OwnerKind.CONTAINER, CONTAINER)),
    ]


def test_a_listener_in_a_namespace_of_nobody_is_not_called_the_hosts() -> None:
    rows = [process(1), process(50, netns=9, command="nc")]
    here, there = (Listener(space, "tcp", "127.0.0.1", 7002, (pid,), 9, 9) for space, pid in ((HOST_NETNS, 1), (9, 50)))
    found = {one.scope: one for one in judged(sample(rows, listeners=(here, there)), 2).findings}
    assert set(found) == {"host 127.0.0.1:7002", "netns 9 127.0.0.1:7002"}
    other = found["netns 9 127.0.0.1:7002"]
    assert other.id == "ListenBacklogHigh/netns/9/tcp/127.0.0.1:7002"
    assert other.message.startswith("netns 9 (pid 50 nc) listens on 127.0.0.1:7002")
    assert "nsenter --target 50 --net sysctl -w net.core.somaxconn=1024 (in network namespace 9)" in other.remedy
    assert "sysctl -w net.core.somaxconn=1024 (on the host)" in found["host 127.0.0.1:7002"].remedy


SSHD = cgroup("/system.slice/sshd.service")
SPACES: list[tuple[list[Process], str]] = [
    ([], "sysctl -w {} (in network namespace 9, by way of nsenter --net;"),
    ([process(50, netns=9)], "nsenter --target 50 --net sysctl -w {} (in network namespace 9;"),
    ([process(50, SSHD, netns=9)], "nsenter --target 50 --net sysctl -w {} (in the unit's network namespace;"),
    (
        [process(50, cgroup(f"/machine.slice/libpod-{CONTAINER}.scope"), netns=9)],
        "nsenter --target 50 --net sysctl -w {} (in the container's network namespace, until it is made anew: podman run ",
    ),
]


@pytest.mark.parametrize(("inside", "command"), SPACES)
def test_a_setting_of_a_namespace_is_made_in_that_namespace(inside: list[Process], command: str) -> None:
    ports = (PortUse(9, "tcp", 90, 100, "10.0.0.7", "10.9.0.1", 443),)
    spaces = (netns(HOST_NETNS), netns(9, time_wait_buckets=90))
    findings = judged(sample([process(1), *inside], ports=ports, netns=spaces), 2).findings
    says = {one.rule: one.remedy for one in findings}
    assert command.format('net.ipv4.ip_local_port_range="10240 65535"') in says["EphemeralPortsLow"]
    assert command.format("net.ipv4.tcp_max_tw_buckets=16384") in says["TimeWaitHigh"]


@pytest.mark.parametrize(
    ("scope", "command"),
    [
        (
            "netns 9 → 10.9.0.1:443",
            "sysctl -w net.ipv4.tcp_max_tw_buckets=16384 (in its network namespace, by way of nsenter",
        ),
        ("host UDP", "sysctl -w net.ipv4.tcp_max_tw_buckets=16384 (on the host;"),
    ],
)
def test_of_a_recording_only_the_scope_says_where_a_setting_is_made(scope: str, command: str) -> None:
    assert command in remedies.time_wait(Reading("time-wait", scope, scope, 90, 100))


def test_what_the_host_itself_lacks_is_set_on_the_host() -> None:
    use = PortUse(HOST_NETNS, "tcp", 90, 100, "10.0.0.7", "10.9.0.1", 443)
    remedy = only(judged(sample([process(1)], ports=(use,)), 2)).remedy
    assert 'or sysctl -w net.ipv4.ip_local_port_range="10240 65535" (on the host; takes effect at once)' in remedy


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (f"/system.slice/docker-{CONTAINER}.scope", "docker run --ulimit nofile=2048"),
        (f"/machine.slice/libpod-{CONTAINER}.scope", "podman run --ulimit nofile=2048"),
        (f"/any/{CONTAINER}", "docker run or podman run --ulimit nofile=2048"),
    ],
)
def test_a_container_outside_of_pods_has_its_ulimit_from_who_runs_it(path: str, says: str) -> None:
    remedy = only(judged(sample([process(1, cgroup(path), fds=960)]))).remedy
    assert says in remedy
    assert "pod " not in remedy.replace("podman ", "")


def test_a_limit_this_node_does_not_have_is_neither_read_nor_missed() -> None:
    seen = sample(PROCESSES, pools=POOLS[1:], missing=frozenset({"aio", "conntrack"}))
    assessment = judged(seen)
    assert not {"aio", "conntrack"} & {one.limit for one in assessment.readings}
    assert (assessment.unreadable, assessment.findings) == (frozenset(), ())


def of_user(pool: str, used: int | None, limit: int, uid: int = 10001, scope: str = "", **fields: Any) -> NodeSample:
    budget = UserBudget(pool, uid, used, limit, exact=pool == "keys", scope=scope, **fields)
    rows = [process(10, in_pod(POD_A), netns=7, uid=uid), process(20, in_pod(POD_B), netns=8, uid=uid), process(1)]
    return sample(rows, budgets=(budget,))


USERS = [
    ("inotify-watches", "", 10001, "fs.inotify.max_user_watches=524288 (524,288 watches"),
    ("epoll-watches", "", 10001, "fs.epoll.max_user_watches=1048576"),
    ("keys", "", 10001, "kernel.keys.maxkeys=1024"),
    ("keys", "bytes", 10001, "kernel.keys.maxbytes=32768"),
    ("keys", "", 0, "kernel.keys.root_maxkeys=1024"),
]


@pytest.mark.parametrize(("pool", "scope", "uid", "remedy"), USERS)
def test_a_users_pool_is_silent_then_warns_then_cries(pool: str, scope: str, uid: int, remedy: str) -> None:
    assert judged(of_user(pool, 79, 100, uid, scope)).findings == ()
    finding = only(judged(of_user(pool, 80, 100, uid, scope)))
    assert (finding.severity, finding.limit, finding.subject.owner) == (W, pool, None)
    assert finding.scope == f"user {uid} {scope}".strip()
    assert remedy in finding.remedy
    assert only(judged(of_user(pool, 95, 100, uid, scope))).severity is C


def test_who_holds_the_watches_and_who_fails_next() -> None:
    finding = only(judged(of_user("inotify-watches", 90, 100, holders=(BudgetHolding((10,), 90),))))
    assert takers(finding) == [("shop/cart-0", 90, None)]
    assert finding.message == (
        "user 10001 holds about 90 of 100 inotify watches (90 %); about 10 are left, then logging/tail-x fails with "
        '"no space left on device"'
    )


def named(finding: Finding) -> list[tuple[OwnerKind, int | None, int | None]]:
    return [(one.owner.kind, one.process.pid if one.process else None, one.used) for one in finding.consumers]


def test_who_takes_most_is_named_where_the_owner_is_many_programs() -> None:
    holders = (BudgetHolding((1,), 2), BudgetHolding((2,), 90), BudgetHolding((3,), 9), BudgetHolding((10,), 20))
    budget = UserBudget("inotify-instances", 0, 121, 128, exact=True, holders=holders)
    rows = [process(1), process(2, command="java"), process(3, SSHD), process(10, in_pod(POD_A))]
    finding = only(judged(sample(rows, budgets=(budget,))))
    assert named(finding) == [(OwnerKind.HOST, 2, 92), (OwnerKind.POD, None, 20), (OwnerKind.UNIT, 3, 9)]
    assert finding.consumers[0].process == ProcessName(2, "java")
    ptys = only(judged(sample(rows, pools=(*POOLS[2:], Pool("aio", 0, 9), Pool("ptys", 96, 100, holders=holders)))))
    assert named(ptys)[0] == (OwnerKind.HOST, 2, 92)
    peers = (Peer("10.9.0.1", 443, 45),)
    held = [SocketGroup(HOST_NETNS, "tcp", TcpState.ESTABLISHED, (pid,), 45, peers=peers) for pid in (2, 3)]
    use = PortUse(HOST_NETNS, "tcp", 90, 100, "10.0.0.7", "10.9.0.1", 443)
    assert named(only(judged(sample(rows, held, ports=(use,))))) == [(OwnerKind.HOST, 2, 45), (OwnerKind.UNIT, 3, 45)]
    facts = replace(FACTS, tasks=9000)
    many = [process(1, threads=5), process(2, threads=8000), process(3, SSHD, threads=100)]
    findings = judged(sample(many, facts=facts)).findings
    assert [named(one)[:2] for one in findings] == [[(OwnerKind.HOST, 2, 8005), (OwnerKind.UNIT, 3, 100)]] * 2
    files = only(judged(sample([process(1, fds=5), process(2, fds=900)], facts=replace(FACTS, file_handles=8000))))
    assert named(files) == [(OwnerKind.HOST, 2, 905)]


def test_how_many_are_left_before_somebody_fails() -> None:
    alone = of_user("inotify-instances", 122, 128, holders=(BudgetHolding((1,), 122),))
    alone = replace(alone, processes=(process(1, uid=10001),))
    (finding,) = (one for one in judged(alone).findings if one.limit == "inotify-instances")
    assert (
        '(95 %); about 6 are left, then inotify_init() of this user fails with "too many open files"' in finding.message
    )
    last = only(judged(of_user("inotify-instances", 127, 128)))
    assert "; about 1 is left, then shop/cart-0 and others of this user fail with" in last.message
    full = only(judged(of_user("inotify-instances", 128, 128)))
    assert "; shop/cart-0 and others of this user fail next with" in full.message


def test_a_user_of_whom_a_part_is_unknown_is_unknown() -> None:
    assert judged(of_user("inotify-watches", None, 100)).unreadable == {"inotify-watches"}


def with_cgroups(*cgroups: CgroupTasks) -> NodeSample:
    unit = process(30, cgroup("/system.slice/containerd.service"))
    foreign = [process(31, cgroup(one.path)) for one in cgroups if FOREIGN in one.path]
    return sample([*PROCESSES, unit, *foreign], cgroup_tasks=cgroups)


CGROUPS = [
    (f"/kubepods/besteffort/pod{POD_A}", "shop/cart-0", "podPidsLimit to 256 in the kubelet's configuration"),
    (f"/kubepods/besteffort/pod{POD_A}/{CONTAINER}", "shop/cart-0 app", "restart the pod"),
    (
        "/system.slice/containerd.service",
        "containerd.service",
        "systemctl set-property containerd.service TasksMax=256",
    ),
    ("/kubepods", "cgroup /kubepods", "kubeReserved"),
    ("/user.slice", "cgroup /user.slice", "TasksMax=256"),
]


@pytest.mark.parametrize(("path", "scope", "remedy"), CGROUPS)
def test_a_cgroup_that_may_have_no_more_tasks(path: str, scope: str, remedy: str) -> None:
    assert judged(with_cgroups(CgroupTasks(path, 79, 100)), 2).findings == ()
    finding = only(judged(with_cgroups(CgroupTasks(path, 85, 100)), 2))
    assert (finding.rule, finding.severity, finding.scope, finding.used) == ("PIDsHigh", W, scope, 85)
    assert finding.message.startswith(f"{scope} runs 85 of 100 tasks that its cgroup allows (85 %)")
    assert remedy in finding.remedy
    if not scope.startswith("cgroup"):
        assert judged(with_cgroups(CgroupTasks(path, 85, 100))).findings == (), "of one owner it takes two sweeps"
        assert only(judged(with_cgroups(CgroupTasks(path, 95, 100)))).severity is C


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        (f"/docker/{FOREIGN}", "docker update --pids-limit 256 ffffffffffff ("),
        (f"/machine.slice/libpod-{FOREIGN}.scope", "podman update --pids-limit 256 ffffffffffff ("),
        (f"/system.slice/nerdctl-{FOREIGN}.scope", "nerdctl update --pids-limit 256 ffffffffffff ("),
        (f"/elsewhere/{FOREIGN}", "write 256 to its pids.max"),
    ],
)
def test_a_container_outside_of_kubernetes_is_changed_by_who_made_it(path: str, remedy: str) -> None:
    assert only(judged(with_cgroups(CgroupTasks(path, 85, 100)), 2)).remedy.startswith(remedy)


def test_the_fullest_cgroup_of_a_container_speaks_for_it_and_a_shared_one_names_its_tasks() -> None:
    base = f"/kubepods/besteffort/pod{POD_A}/{CONTAINER}"
    seen = with_cgroups(CgroupTasks(base, 10, 100), CgroupTasks(f"{base}/inner", 96, 100))
    assert only(judged(seen)).used == 96
    shared = only(judged(with_cgroups(CgroupTasks("/kubepods", 96, 100))))
    assert takers(shared) == [("shop/cart-0", 1, None), ("logging/tail-x", 1, None)]
    assert shared.subject.owner is None


def listening(*queues: tuple[int, int], holders: tuple[int, ...] | None = (10,)) -> NodeSample:
    rows = [Listener(7, "tcp", "0.0.0.0", 80 + n, holders, queue, backlog) for n, (queue, backlog) in enumerate(queues)]
    return sample(PROCESSES, listeners=tuple(rows))


def test_an_accept_queue_speaks_only_when_it_stays_full() -> None:
    assert judged(listening((79, 99)), 2).findings == ()
    assert judged(listening((100, 99))).findings == (), "full for a moment is a burst"
    finding = only(judged(listening((80, 99)), 2))
    assert (finding.severity, finding.maximum, finding.subject.identity) == (W, 100, NAMES[POD_A])
    assert finding.message.startswith("shop/cart-0 listens on 0.0.0.0:80 with 80 of 100 connections waiting")
    assert only(judged(listening((100, 99)), 2)).severity is C
    assert "a backlog of 1024 in the program's listen() and net.core.somaxconn=1024 of the pod" in finding.remedy
    host = only(judged(sample(PROCESSES, listeners=(Listener(HOST_NETNS, "tcp", "0.0.0.0", 80, (1,), 5, 4),)), 2))
    assert (host.scope, "securityContext" in host.remedy) == ("host 0.0.0.0:80", False)


def test_who_listens_is_not_read_out_of_the_path_of_a_socket() -> None:
    path = "/run/x db/postgres @a"
    finding = only(judged(sample(PROCESSES, listeners=(Listener(7, "unix", path, 0, (10,), 80, 99),)), 2))
    assert finding.message.startswith(f"shop/cart-0 listens on unix:{path} with 80 of 100 connections waiting")


def test_idle_listeners_are_one_reading_and_none_at_all_is_no_limit() -> None:
    def readings(seen: NodeSample) -> list[tuple[str, int | None, object]]:
        return [(one.scope, one.used, one.maximum) for one in judged(seen).readings if one.limit == "listen-backlog"]

    assert readings(listening((0, 99), (0, 4))) == [("shop/cart-0 0.0.0.0:81", 0, 5)]
    assert readings(listening((0, 99), (1, 4), (2, 9))) == [
        ("shop/cart-0 0.0.0.0:81", 1, 5),
        ("shop/cart-0 0.0.0.0:82", 2, 10),
    ]
    assert readings(listening()) == [("node", 0, UNLIMITED)]
    assert judged(sample(PROCESSES, listeners=None)).unreadable == {"listen-backlog"}


def test_a_listener_is_of_the_youngest_who_holds_it_or_of_its_namespace() -> None:
    def owner(holders: tuple[int, ...]) -> str:
        rows = [process(1, start=1), process(2, cgroup("/system.slice/sshd.service"), start=50), *PROCESSES[1:]]
        usage = attribute(sample(rows, listeners=(Listener(8, "tcp", "::", 22, holders, 0, 9),)), NAMES)
        assert usage.listeners is not None
        return usage.listeners[0].owner.id

    assert owner((1, 2)) == "sshd.service", "systemd opened it for the service"
    assert owner(()) == POD_B
    assert owner((1,)) == POD_B, "what a process of the host's own listens on there is an address of the pod"


def test_ports_name_the_pods_on_both_ends() -> None:
    use = PortUse(7, "tcp", 90, 100, "10.0.0.7", "10.0.0.8", 5432, time_wait=50)
    held = SocketGroup(7, "tcp", TcpState.ESTABLISHED, (10,), 40, peers=(Peer("10.0.0.8", 5432, 40),))
    finding = only(judged(sample(PROCESSES, [held], ports=(use,)), sweeps=2))
    assert (finding.rule, finding.severity, finding.scope) == (
        "EphemeralPortsLow",
        Severity.WARNING,
        "shop/cart-0 → 10.0.0.8:5432",
    )
    assert takers(finding) == [("shop/cart-0", 40, "connections")]
    assert finding.message == (
        "shop/cart-0 has taken 90 of 100 ephemeral ports (90 %) towards 10.0.0.8:5432 (logging/tail-x) from 10.0.0.7, 50 "
        'of them by connections in TIME_WAIT; at the limit connect() to it fails with "cannot assign requested address"'
    )
    assert "net.ipv4.tcp_tw_reuse=1" in finding.remedy


def test_who_takes_ports_is_about_so_many_where_only_some_were_looked_at() -> None:
    use = PortUse(7, "tcp", 90, 100, "10.0.0.7", "10.0.0.8", 5432)

    def connected(pid: int, state: TcpState, number: int, each: int) -> SocketGroup:
        return SocketGroup(7, "tcp", state, (pid,), number, peers=(Peer("10.0.0.8", 5432, number, each),))

    rows = (*PROCESSES, process(11, cgroup("/system.slice/a.service")), process(12, cgroup("/system.slice/b.service")))
    held = [
        connected(10, TcpState.ESTABLISHED, 64, 32),
        connected(11, TcpState.CLOSE_WAIT, 3, 1),
        connected(12, TcpState.ESTABLISHED, 32, 32),
    ]
    shares = only(judged(sample(rows, held, ports=(use,)), sweeps=2)).consumers
    assert [(one.owner.id, one.used, one.estimate) for one in shares] == [(POD_A, 64, True), ("a.service", 3, False)]


def test_a_range_that_some_sockets_have_is_told_apart_from_the_namespaces() -> None:
    whole = PortUse(7, "tcp", 90, 28_232, "10.0.0.7", "10.9.0.1", 443)
    finding = only(
        judged(sample(PROCESSES, ports=(whole, replace(whole, available=100, own_range=(40_000, 40_099)))), 2)
    )
    assert finding.scope == "shop/cart-0 → 10.9.0.1:443 from ports 40000-40099"
    assert "90 of 100 ephemeral ports of its IP_LOCAL_PORT_RANGE 40000-40099 (90 %)" in finding.message
    assert "set a wider IP_LOCAL_PORT_RANGE in the program" in finding.remedy


def test_memory_is_told_in_the_pages_of_this_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    for size, mebibytes in ((4096, "7 MiB"), (65_536, "125 MiB")):
        monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": size}.__getitem__)
        finding = only(judged(with_pool(Pool("tcp-memory", 960, 1000, pressure=700))))
        assert f"(up to {mebibytes} of memory" in finding.remedy


def test_what_single_pods_take_of_a_pool_is_remembered_at_its_peak() -> None:
    names = {
        uid: PodIdentity("shop", f"p{uid[0]}", uid, workload=workload, containers={})
        for uid, workload in (
            (POD_A, ("Deployment", "cart")),
            (POD_B, ("DaemonSet", "tail")),
            ("3" * 8 + POD_A[8:], None),
        )
    }
    static = "0" * 32
    usages = [
        attribute(
            sample(
                [
                    process(number, in_pod(uid), threads=threads, netns=number)
                    for number, (uid, threads) in enumerate([*zip(names, figures, strict=True), (static, 500)], 10)
                ]
            ),
            names,
        )
        for figures in ((40, 900, 6), (7, 900, 8))
    ]
    history = History()
    for turn, usage in enumerate(usages):
        assessment, history = assess(usage, history, Policy(), 1000.0 + 30 * turn)
    assert assessment.shares["threads", "node"] == PodShare(pods=2, p50=8, p90=40, max=40), "two pods, each at its peak"
    gone, _ = assess(attribute(sample([process(10, in_pod(POD_A), threads=3)]), names), history, Policy(), 1100.0)
    assert gone.shares["threads", "node"] == PodShare(1, 40, 40, 40)


def test_the_ninetieth_percentile_is_by_nearest_rank() -> None:
    owners = [Owner(OwnerKind.POD, f"{number:032x}") for number in range(20)]
    for many, expected in ((1, (1, 1, 1)), (10, (5, 9, 10)), (20, (10, 18, 20))):
        (share,) = summed({("x", "node"): {owners[number]: number + 1 for number in range(many)}}).values()
        assert (share.p50, share.p90, share.max) == expected


def test_destinations_that_come_and_go_leave_one_peak_and_no_series() -> None:
    history = History()
    for turn in range(30):
        use = PortUse(7, "tcp", 30 + turn % 7, 100, "10.0.0.7", f"10.9.0.{turn}", 443)
        usage = attribute(sample(PROCESSES, ports=(use,)), NAMES)
        assessment, history = assess(usage, history, Policy(), 1000.0 + 30 * turn)
    assert {key: peak.value for key, peak in assessment.peaks.items() if key[0] == "ephemeral-ports"} == {
        ("ephemeral-ports", "shop/cart-0"): 36
    }
    assert not [key for key in history.series if key.startswith("ephemeral-ports")]


def test_connections_outside_are_added_up_over_pods_and_the_smallest_destinations_left_out() -> None:
    there = "198.51.100.7"
    seen = sample(
        PROCESSES,
        snat_ports=1024,
        egress=(
            Egress(None, there, 443, (10,), 700),
            Egress(None, there, 443, (10, 20), 30),
            Egress(8, there, 443, (), 140),
            *(Egress(None, there, port, (20,), port) for port in range(1, 8)),
        ),
    )
    assessment = judged(seen)
    finding = only(assessment)
    assert (finding.rule, finding.severity, finding.used, finding.maximum) == (
        "SNATPortsLow",
        Severity.WARNING,
        870,
        1024,
    )
    assert takers(finding) == [("shop/cart-0", 730, "connections"), ("logging/tail-x", 170, "connections")]
    assert finding.message == (
        "the node has 870 of 1,024 connections that its SNAT allocation lets it have to 198.51.100.7:443 (84 %); at the "
        "limit new connections to it time out"
    )
    assert "more SNAT ports than 1,024" in finding.remedy
    found = [reading.scope for reading in assessment.readings if reading.limit == "snat-ports"]
    assert found == [f"node → {there}:{port}" for port in (443, 7, 6, 5, 4)]
    assert assessment.peaks["snat-ports", "node"].value == 870


def test_a_node_with_snat_ports_and_no_connection_outside_reads_as_zero() -> None:
    (reading,) = (one for one in judged(sample(PROCESSES, snat_ports=64)).readings if one.limit == "snat-ports")
    assert (reading.scope, reading.used, reading.maximum) == ("node", 0, 64)
