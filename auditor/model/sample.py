"""NodeSample: the facts of one moment, as the kernel states them. No owners, no judgement.

Both sources (procfs, and BPF iterators) return this. Where a thing is held by several processes it stands once, with all
of its holders, so that every later sum can count it once for each owner and once for the node.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

from auditor.model.figures import Limit
from auditor.model.gap import Gap


class Kind(StrEnum):
    """What a file descriptor refers to."""

    FILE = "file"
    SOCKET = "socket"
    PIPE = "pipe"
    EPOLL = "epoll"
    EVENTFD = "eventfd"
    INOTIFY = "inotify"
    TIMERFD = "timerfd"
    SIGNALFD = "signalfd"
    TTY = "tty"
    DEVICE = "device"
    MEMFD = "memfd"
    OTHER = "other"


class TcpState(IntEnum):
    """TCP states by the kernel's own numbers (include/net/tcp_states.h).

    NEW_SYN_RECV (12) is reported as SYN_RECV, as the kernel itself reports it to user space.
    """

    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11


def cgroup_path(cgroups: Iterable[tuple[str, str]], controller: str) -> str | None:
    """Return the path in the hierarchy of a controller: its own under v1, else the unified one."""
    unified = None
    for controllers, path in cgroups:
        if controller in controllers.split(","):
            return path
        if not controllers:
            unified = path
    return unified


class Process(NamedTuple):
    """One process (thread group). Identity is (pid, start): a pid alone is reused.

    Attributes:
        pid: thread group id in the agent's PID namespace.
        start: start time in clock ticks since boot (proc_pid_stat(5), field 22).
        command: comm, cleaned of control characters; never argv, which holds secrets.
        kernel_thread: a thread of the kernel itself (PF_KTHREAD).
        uid: effective user id as the agent's user namespace sees it.
        threads: living threads, the main one included.
        cgroups: one (controllers, path) pair per line of /proc/PID/cgroup, in the kernel's order.
        netns: inode number of its network namespace.
        soft_limit: RLIMIT_NOFILE, soft; the one that makes open() fail.
        hard_limit: RLIMIT_NOFILE, hard.
        fds: open descriptors in its table; `None` when they could not be counted.
        table_pid: the process under whose row this descriptor table is counted; its own pid unless the table is
            shared (CLONE_FILES without CLONE_THREAD). A row that shares another's table carries no figures of its own.
        kinds: descriptors by kind, complete (summing to `fds`) or `None`.
        private_descriptions: distinct open file descriptions that no other table refers to; `None` when unknown.
    """

    pid: int
    start: int
    command: str
    kernel_thread: bool = False
    uid: int | None = None
    threads: int | None = None
    cgroups: tuple[tuple[str, str], ...] = ()
    netns: int | None = None
    soft_limit: Limit = None
    hard_limit: Limit = None
    fds: int | None = None
    table_pid: int = 0
    kinds: Mapping[Kind, int] | None = None
    private_descriptions: int | None = None

    @property
    def owns_table(self) -> bool:
        """Whether this row is the one that counts its descriptor table."""
        return self.table_pid in (0, self.pid)

    @property
    def unclassified(self) -> bool:
        """Whether its table holds descriptors that were not told apart."""
        return self.owns_table and self.fds != 0 and self.kinds is None and not self.kernel_thread


@dataclass(slots=True, unsafe_hash=True)  # as good as frozen, which would double the cost of the many there are
class Peer:
    """The other end of TCP connections.

    Attributes:
        port: of a server; `None` for clients, whose ports are any.
        count: connections with it.
        each: how many of them each one that was looked at stands for: 1 where all were, more where `count` is an estimate.
    """

    address: str
    port: int | None
    count: int
    each: int = 1

    @property
    def looked_at(self) -> int:
        """Connections that were looked at."""
        return self.count // self.each


@dataclass(slots=True, unsafe_hash=True)  # as are these
class SocketGroup:
    """Distinct sockets that agree in everything that later stages ask for.

    Attributes:
        netns: inode of the network namespace; `None` when only the descriptor was seen.
        protocol: "tcp" (v4, v6), "udp" (v4, v6, lite), "unix", "other" or, where nobody would name it, "unknown".
        state: TCP state; `None` for other protocols.
        holders: pids whose descriptor tables refer to these sockets. Empty: no descriptor at all (TIME_WAIT,
            unaccepted, orphaned). `None`: sockets with a descriptor whose holder was not looked for.
        count: distinct sockets.
        queued_bytes: in their receive and send queues, all together.
        peers: the other ends of most of them, the most frequent first; of states that a leak leaves behind.
    """

    netns: int | None
    protocol: str
    state: TcpState | None
    holders: tuple[int, ...] | None
    count: int
    queued_bytes: int = 0
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True, slots=True)
class SharedDescriptions:
    """Open file descriptions referred to by the tables of several processes (fork, SCM_RIGHTS)."""

    holders: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Flows:
    """Tracked connections of one namespace, a fair sample of them where there are many.

    Attributes:
        sampled: how many were looked at.
        ends: who began them, who answers, and how many there are.
        destinations: whom they were meant for (address, port, "tcp", "udp" or the number) and how many.
        states: of TCP, and the names of other protocols.
    """

    sampled: int
    ends: tuple[tuple[str, str, int], ...]
    destinations: tuple[tuple[str, int, str, int], ...]
    states: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Netns:
    """One network namespace.

    Attributes:
        inode: identity, from nsfs; the same number `ls -i /proc/PID/ns/net` shows.
        time_wait_buckets: `tw` of sockstat. Counts TIME_WAIT and FIN_WAIT2 mini-sockets alike, as does its maximum.
        time_wait_max: net.ipv4.tcp_max_tw_buckets of this namespace.
        time_wait_overflows: connections closed without TIME_WAIT since the namespace was made, for the buckets were full;
            `None` where nobody looked, as they were not.
        conntrack: entries of nf_conntrack in this namespace; `None` where it was not read, or is not loaded.
        conntrack_max: net.netfilter.nf_conntrack_max, which binds each namespace by itself.
        flows: what is tracked; `None` where nobody looked.
        tcp_in_use: TCP sockets in the hash tables, v4 and v6; TIME_WAIT not included.
        dumped: whether its TCP and UDP sockets were listed one by one (or are known to be none).
        half_open: whether its half-open connections were counted, which no counter shows.
    """

    inode: int
    time_wait_buckets: int | None = None
    time_wait_max: Limit = None
    time_wait_overflows: int | None = None
    conntrack: int | None = None
    conntrack_max: Limit = None
    flows: Flows | None = None
    tcp_in_use: int | None = None
    dumped: bool = False
    half_open: bool = False


class Listener(NamedTuple):
    """An address that is listened on, in one network namespace. Sockets that share it (SO_REUSEPORT) are one.

    Attributes:
        netns: inode of the namespace.
        protocol: "tcp", "mptcp" or "unix".
        address: as it is written, `0.0.0.0` or `::` for all; of a UNIX socket its path, or `@` and its abstract name.
        port: 0 of a UNIX socket.
        holders: pids of those who accept from it; `None` where they were not looked for.
        queue: connections that wait to be accepted, in the fullest of its sockets.
        backlog: of that socket. Its queue is full at one more.
        connections: established ones at this address; `None` where they were not listed.
        drops: what it has dropped since it began to listen (sk_drops); `None` where the kernel does not say.
    """

    netns: int
    protocol: str
    address: str
    port: int
    holders: tuple[int, ...] | None
    queue: int
    backlog: int
    connections: int | None = None
    drops: int | None = None


class Queueing(NamedTuple):
    """A TCP socket with much in its queues.

    Attributes:
        netns: inode of the namespace.
        id: the kernel's own, the same in every sweep while it lives.
        port: local.
        peer: the other end.
        received: bytes that nobody has read.
        sent: bytes that the peer has not acknowledged.
        holders: pids of those who hold it; `None` where they were not looked for.
    """

    netns: int
    id: int
    port: int
    peer: Peer
    received: int
    sent: int
    holders: tuple[int, ...] | None


class Dropping(NamedTuple):
    """A UDP socket that has dropped datagrams, for nobody read them in time.

    Attributes:
        netns: inode of the namespace.
        address: local.
        port: local.
        holders: pids of those who hold it; `None` where they were not looked for.
        drops: since it was made (sk_drops).
    """

    netns: int
    address: str
    port: int
    holders: tuple[int, ...] | None
    drops: int


@dataclass(frozen=True, slots=True)
class PortUse:
    """Ephemeral ports that one more connection to the same place could not have.

    Attributes:
        netns: inode of the namespace.
        protocol: "tcp" or "udp".
        used: ports taken towards the destination; where there is none, towards any.
        available: ports of the range that may be chosen at all.
        source: local address; `None` for all of the namespace.
        address: of the destination; `None` for all: UDP, and programs that bind before they connect.
        port: of the destination.
        time_wait: of those that are used, connections in TIME_WAIT.
        reuse: net.ipv4.tcp_tw_reuse.
        at_most: nobody looked: that is the number of sockets, and far from the limit.
        own_range: first and last port of a range that only some of its sockets have (IP_LOCAL_PORT_RANGE).
    """

    netns: int
    protocol: str
    used: int
    available: int
    source: str | None = None
    address: str | None = None
    port: int | None = None
    time_wait: int = 0
    reuse: int = 0
    at_most: bool = False
    own_range: tuple[int, int] | None = None


class Egress(NamedTuple):
    """TCP connections to one destination outside of every private network, as the same processes of a namespace hold them.

    Attributes:
        netns: inode of the namespace; `None` where it was not asked for, for there are holders.
        holders: pids; empty where no descriptor leads there any more; `None` where they were not looked for.
    """

    netns: int | None
    address: str
    port: int
    holders: tuple[int, ...] | None
    connections: int


@dataclass(frozen=True, slots=True)
class BudgetHolding:
    """Objects of a per-user budget that the same descriptor tables refer to; fork shares an inotify instance."""

    holders: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class UserBudget:
    """A pool that the kernel keeps per user, such as inotify instances.

    Attributes:
        pool: id of the limit, `inotify-instances`.
        uid: the user who is charged.
        used: distinct objects charged; one shared over fork counts once. `None`: some could not be counted.
        limit: the effective maximum.
        exact: read from the kernel's own counter. False: added up from descriptors, which misses user namespaces.
        holders: the objects found in descriptor tables, each once, with everyone who refers to it.
        scope: tells several pools of one limit apart (`bytes` of keys); else empty.
    """

    pool: str
    uid: int
    used: int | None
    limit: Limit
    exact: bool
    holders: tuple[BudgetHolding, ...] = ()
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of the whole node, whose use and limit the kernel states side by side.

    Attributes:
        limit: id of the limit.
        scope: tells several pools of one limit apart (`IPv4`); else empty.
        pressure: the use at which the kernel begins to defend itself; `None` where it does not before the end.
        estimate: the counter holds more, or less, than what the limit binds.
        holders: what is found of it in descriptor tables, each object once, with everyone who refers to it.
        by_netns: what each network namespace takes of it, by inode.
    """

    limit: str
    used: int | None
    maximum: Limit
    scope: str = ""
    pressure: int | None = None
    estimate: bool = False
    holders: tuple[BudgetHolding, ...] = ()
    by_netns: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CgroupTasks:
    """A cgroup with a limit on tasks of its own: a pod's, a unit's, or one around many.

    Attributes:
        path: in the hierarchy of the pids controller.
        used: its tasks, and those of the cgroups below.
        limit: pids.max.
    """

    path: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Figures of the whole node.

    Attributes:
        file_handles: open file descriptions (fs.file-nr, first field; approximate by a few per CPU).
        file_max: fs.file-max. Binds processes without CAP_SYS_ADMIN only.
        tasks: tasks (threads) alive in the whole system.
        pid_max: kernel.pid_max, which counts tasks, not processes.
        threads_max: kernel.threads-max.
        inotify_max_instances: fs.inotify.max_user_instances.
        inotify_max_watches: fs.inotify.max_user_watches.
        epoll_max_watches: fs.epoll.max_user_watches.
    """

    file_handles: int | None = None
    file_max: Limit = None
    tasks: int | None = None
    pid_max: Limit = None
    threads_max: Limit = None
    inotify_max_instances: Limit = None
    inotify_max_watches: Limit = None
    epoll_max_watches: Limit = None


@dataclass(frozen=True, slots=True)
class NodeSample:
    """The facts of one moment.

    Attributes:
        at: seconds since the epoch when the sweep ended.
        source: "procfs" or "bpf".
        reason: why this source was used, one clause for a person.
        kernel: release, as uname -r prints it.
        host_netns: network namespace of PID 1; `None` when unreadable.
        sockets: distinct sockets by group. Whole only for namespaces with `dumped`.
        listeners: `None` where nobody could list them.
        ports: what takes the most ephemeral ports in each namespace.
        snat_ports: how many connections to one destination the NAT in front of this node allows; `None` where nobody said.
        egress: connections that go there; empty where nobody said.
        dropping: UDP sockets that have dropped datagrams.
        queueing: TCP sockets with much in their queues.
        shared: descriptions held by several tables; `None` when unknown.
        pools: of the whole node.
        cgroup_tasks: cgroups that have a limit on tasks.
        missing: ids of limits this node does not have: its kernel was built without, or they are another namespace's.
        vanished: processes that ended while being read. They are no gap: they are gone.
        denied: processes of which a part was refused for want of rights.
        sweep_seconds: wall time.
        cpu_seconds: CPU time of the sweeping process.
    """

    at: float
    source: str
    reason: str
    kernel: str
    facts: NodeFacts
    processes: tuple[Process, ...]
    netns: tuple[Netns, ...] = ()
    host_netns: int | None = None
    sockets: tuple[SocketGroup, ...] = ()
    listeners: tuple[Listener, ...] | None = None
    ports: tuple[PortUse, ...] = ()
    snat_ports: int | None = None
    egress: tuple[Egress, ...] = ()
    dropping: tuple[Dropping, ...] = ()
    queueing: tuple[Queueing, ...] = ()
    shared: tuple[SharedDescriptions, ...] | None = None
    budgets: tuple[UserBudget, ...] = ()
    pools: tuple[Pool, ...] = ()
    cgroup_tasks: tuple[CgroupTasks, ...] = ()
    missing: frozenset[str] = frozenset()
    vanished: int = 0
    denied: int = 0
    filled_in: int = 0
    sweep_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gaps: tuple[Gap, ...] = field(default=())
