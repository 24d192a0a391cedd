"""Small samples by hand: only what a test is about is named."""

from collections.abc import Sequence
from typing import Any

from auditor.model import Kind, Netns, NodeFacts, NodeSample, Pool, PortUse, Process, SocketGroup, UserBudget

HOST_NETNS = 1
POD_A = "11111111-1111-1111-1111-111111111111"
POD_B = "22222222-2222-2222-2222-222222222222"
CONTAINER = "c" * 64
FACTS = NodeFacts(
    file_handles=100, file_max=10_000, tasks=100, pid_max=10_000, threads_max=10_000, inotify_max_instances=128,
    inotify_max_watches=1000, epoll_max_watches=1000,
)  # fmt: skip
KEYS = (UserBudget("keys", 0, 8, 1000, exact=True), UserBudget("keys", 0, 40, 25_000, exact=True, scope="bytes"))
POOLS = (Pool("aio", 0, 65_536), Pool("ptys", 2, 3072), Pool("orphans", 0, 100), Pool("tcp-memory", 10, 1000, pressure=700),
    Pool("udp-memory", 10, 1000, pressure=700), Pool("neighbours", 3, 1024, "IPv4"), Pool("neighbours", 3, 1024, "IPv6"),
)  # fmt: skip


def cgroup(path: str) -> tuple[tuple[str, str], ...]:
    return (("", path),)


def in_pod(uid: str, container: str = CONTAINER) -> tuple[tuple[str, str], ...]:
    return cgroup(f"/kubepods/besteffort/pod{uid}/{container}")


def process(pid: int, cgroups: tuple[tuple[str, str], ...] = (), **fields: Any) -> Process:
    facts: dict[str, Any] = {
        "start": 1, "command": "app", "uid": 0, "threads": 1, "netns": HOST_NETNS,
        "soft_limit": 1000, "hard_limit": 2000, "fds": 3, "table_pid": pid,
    }  # fmt: skip
    facts.update(fields)
    if facts["fds"] is not None and "kinds" not in facts:
        facts["kinds"] = {Kind.FILE: facts["fds"]}
        facts.setdefault("private_descriptions", facts["fds"])
    return Process(pid=pid, cgroups=cgroups, **facts)


def netns(inode: int, **fields: Any) -> Netns:
    facts: dict[str, Any] = {
        "time_wait_buckets": 0,
        "time_wait_max": 100,
        "conntrack": 0,
        "conntrack_max": 100,
        "dumped": True,
        "half_open": True,
    }
    return Netns(inode, **(facts | fields))


def sample(
    processes: Sequence[Process], sockets: Sequence[SocketGroup] = (), facts: NodeFacts | None = None, **fields: Any
) -> NodeSample:
    inodes = sorted({row.netns for row in processes if row.netns is not None})
    defaults: dict[str, Any] = {
        "at": 1000.0, "source": "procfs", "reason": "for a test", "kernel": "6.18.0", "host_netns": HOST_NETNS, "shared": (),
        "pools": POOLS, "listeners": (), "ports": (PortUse(HOST_NETNS, "tcp", 7, 28_232, at_most=True),),
        "netns": tuple(netns(inode) for inode in inodes),
    }  # fmt: skip
    fields["budgets"] = (*fields.get("budgets", ()), *KEYS)
    return NodeSample(
        facts=facts or FACTS,
        processes=tuple(processes),
        sockets=tuple(sockets),
        **{**defaults, **fields},
    )
