"""NodeUsage: the facts of one moment, by owner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from auditor.model.figures import Limit, percent
from auditor.model.gap import Gap
from auditor.model.sample import Flows, Kind, NodeFacts, Peer, PortUse, TcpState

LOWEST_GIVEN_LIMIT = 64
"""No runtime or service manager gives less than this many descriptors; sandboxed helpers give themselves less."""


class OwnerKind(StrEnum):
    """Who can own a process or a socket."""

    POD = "Pod"
    UNIT = "Unit"
    CONTAINER = "Container"
    HOST = "Host"
    KERNEL = "Kernel"


class Owner(NamedTuple):
    """Who holds something. Hashable, stable across sweeps and restarts; a tuple, for it is hashed more than anything.

    Attributes:
        kind: pod, systemd unit, container outside Kubernetes, the rest of the host, or the kernel.
        id: pod uid as its cgroup spells it (a static pod's is its config hash), unit name, bare container id;
            empty for Host and Kernel.
    """

    kind: OwnerKind
    id: str = ""


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """What the API or the kubelet's log folder says of a pod.

    Attributes:
        uid: the API object's uid. A static pod's differs from the config hash in its cgroup.
        workload: (kind, name) of the top owner, Deployment rather than ReplicaSet; `None` when there is none.
        host_network: whether it shares the node's network namespace; `None` when only the log folder is known.
        containers: name by bare container id.
        addresses: of its own network; empty where it shares the node's.
        wishes: its annotations of this project's, by what follows `sockaudit.io/`.
    """

    namespace: str
    name: str
    uid: str
    workload: tuple[str, str] | None = None
    host_network: bool | None = None
    containers: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    wishes: Mapping[str, str] = field(default_factory=dict)


class ProcessUse(NamedTuple):
    """One process measured against its own descriptor limit."""

    pid: int
    start: int
    command: str
    fds: int
    soft_limit: Limit
    hard_limit: Limit

    @property
    def percent(self) -> int | None:
        """Share of the soft limit in use."""
        return percent(self.fds, self.soft_limit)

    @property
    def lowered_itself(self) -> bool:
        """Whether the limit can only be of the program's own making: below what it holds, or under 64."""
        return isinstance(self.soft_limit, int) and self.soft_limit < max(self.fds, LOWEST_GIVEN_LIMIT)


@dataclass(frozen=True, slots=True)
class SocketUse:
    """Distinct sockets of one owner. A figure that the source could not see whole is `None`.

    Attributes:
        tcp_queued_bytes: what waits in the receive and send queues of its TCP sockets.
        udp_queued_bytes: the same of UDP, as the kernel accounts it: buffers, not payload.
        orphans: TCP sockets that no process has any more; not yet FIN_WAIT2, where most are mini-sockets.
        peers: whom most of them are connected to, by state, the most frequent first.
        half_open: whether those in SYN_RECV are known.
        listed: whether single TCP and UDP sockets were looked at, as far as it has any. Then those that are not told of are
            gone, though the figures may be unknown, for it is unknown whose some are.
    """

    tcp: Mapping[TcpState, int] | None
    udp: int | None
    unix: int | None
    other: int | None
    tcp_queued_bytes: int | None = None
    udp_queued_bytes: int | None = None
    orphans: int | None = None
    peers: Mapping[TcpState, tuple[Peer, ...]] = field(default_factory=dict)
    half_open: bool = True
    listed: bool = True

    @property
    def total(self) -> int | None:
        """All sockets, or `None` when any part is unknown."""
        if self.tcp is None or self.udp is None or self.unix is None or self.other is None:
            return None
        return sum(self.tcp.values()) + self.udp + self.unix + self.other


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """One container of an owner. `id` is `None` for what runs in the pod's cgroup but in no container (shims).

    `runtime` is who made it, where its cgroup tells: containerd, cri-o, docker, podman.
    """

    id: str | None
    name: str | None
    fds: int | None
    worst: ProcessUse | None
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class OwnerUsage:
    """What one owner holds.

    Attributes:
        identity: names of a pod; `None` for other owners, and for a pod known by uid only.
        fds: descriptors in all its tables, a shared table once; `None` when a process could not be counted.
        descriptions: distinct open file descriptions; `None` unless exact.
        kinds: `fds` by kind, all or nothing.
        sockets: distinct sockets, those of its own network namespace without a descriptor included.
        own_netns: whether it has a network namespace that no other owner shares.
        worst: the process nearest to its own limit.
        qos: a pod's class of service, where its cgroup tells.
        uids: effective users of its processes.
    """

    owner: Owner
    identity: PodIdentity | None
    processes: int
    threads: int | None
    fds: int | None
    descriptions: int | None
    kinds: Mapping[Kind, int] | None
    sockets: SocketUse | None
    own_netns: bool
    worst: ProcessUse | None
    containers: tuple[ContainerUsage, ...] = ()
    qos: str | None = None
    uids: frozenset[int] = frozenset()


class ProcessName(NamedTuple):
    """A process, as a person finds it."""

    pid: int
    command: str


@dataclass(frozen=True, slots=True)
class Space:
    """A network namespace, as a person finds it.

    Attributes:
        inode: its number; the only name it has where no owner answers for it.
        process: by which nsenter gets into it; `None` where no process is in it.
    """

    inode: int
    is_host: bool
    process: ProcessName | None = None


@dataclass(frozen=True, slots=True)
class NetnsUsage:
    """One network namespace and the owner it is called after: the host where it is nobody's.

    `trackers`: tracked connections of each pod, which it began or, if no pod of this node did, answers; scaled up from
    the sample.
    """

    space: Space
    owner: Owner
    time_wait_buckets: int | None
    time_wait_max: Limit
    conntrack: int | None = None
    conntrack_max: Limit = None
    flows: Flows | None = None
    trackers: Mapping[Owner, int] = field(default_factory=dict)
    time_wait_overflows: int | None = None

    @property
    def inode(self) -> int:
        """Its number."""
        return self.space.inode


@dataclass(frozen=True, slots=True)
class PortUsage:
    """Ephemeral ports towards one destination, and who took them.

    Attributes:
        use: the figures.
        space: the namespace.
        owner: whom it is called after.
        takers: connections of each owner to that destination, as far as they are seen.
        greatest: who has most of them, in the host and in each unit.
        estimated: those takers whose figure comes from a sample.
    """

    use: PortUse
    space: Space
    owner: Owner
    takers: Mapping[Owner, int] = field(default_factory=dict)
    estimated: frozenset[Owner] = frozenset()
    greatest: Mapping[Owner, ProcessName] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EgressUsage:
    """Connections of the whole node to one destination outside, and whose they are.

    Attributes:
        used: connections, each once.
        takers: connections of each owner.
    """

    address: str
    port: int
    used: int
    takers: Mapping[Owner, int]


@dataclass(frozen=True, slots=True)
class UserUsage:
    """A per-user pool by owner.

    `takers`: what each owner refers to; `members`: owners who run as this user; `greatest`: who refers to most, in the
    host and in each unit.
    """

    pool: str
    uid: int
    used: int | None
    limit: Limit
    exact: bool
    takers: Mapping[Owner, int] = field(default_factory=dict)
    members: frozenset[Owner] = frozenset()
    scope: str = ""
    greatest: Mapping[Owner, ProcessName] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListenerUsage:
    """An address that is listened on, and who accepts from it; of a UNIX socket the port is 0."""

    owner: Owner
    protocol: str
    address: str
    port: int
    queue: int
    backlog: int
    connections: int | None = None
    drops: int | None = None
    space: Space | None = None

    @property
    def percent(self) -> int:
        """Share of the accept queue in use. It is full at one more than the backlog."""
        return percent(self.queue, self.backlog + 1) or 0


@dataclass(frozen=True, slots=True)
class DropUsage:
    """A UDP socket that has dropped datagrams, and who reads from it."""

    owner: Owner
    address: str
    port: int
    drops: int
    space: Space | None = None


@dataclass(frozen=True, slots=True)
class QueueUsage:
    """A TCP socket with much in its queues, and whose it is. `id` is the kernel's own while the socket lives.

    `process`: the youngest that holds it; `None` where none is known to.
    """

    owner: Owner
    id: tuple[int, int]
    peer: Peer
    received: int
    sent: int
    process: ProcessName | None = None


@dataclass(frozen=True, slots=True)
class TaskLimit:
    """A cgroup with a limit on tasks, and the owner whose it is: the host for one around many.

    Attributes:
        container: bare id, where it is a container's.
        path: of the cgroup.
        takers: tasks of each owner in it, where there may be several.
    """

    owner: Owner
    container: str | None
    path: str
    used: int
    limit: int
    takers: Mapping[Owner, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """A pool of the whole node by owner.

    `takers`: what each is seen to hold of it; `greatest`: who holds most, in the host and in each unit.
    """

    limit: str
    used: int | None
    maximum: Limit
    scope: str = ""
    pressure: int | None = None
    estimate: bool = False
    takers: Mapping[Owner, int] = field(default_factory=dict)
    greatest: Mapping[Owner, ProcessName] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeTotals:
    """Sums of the whole node, each thing once."""

    processes: int
    threads: int | None
    pods: int
    containers: int
    fds: int | None
    descriptions: int | None
    sockets: int | None
    shared_descriptions: int | None


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """The facts of one moment, by owner. `gaps` holds the sample's and those found while naming owners.

    `most_threads`, `most_fds`: which process has most, in the host and in each unit.
    `missing`: ids of limits this node does not have. `snat_ports`: what the NAT in front of it allows to one destination.
    """

    at: float
    facts: NodeFacts
    totals: NodeTotals
    owners: tuple[OwnerUsage, ...]
    netns: tuple[NetnsUsage, ...] = ()
    ports: tuple[PortUsage, ...] = ()
    snat_ports: int | None = None
    egress: tuple[EgressUsage, ...] = ()
    users: tuple[UserUsage, ...] = ()
    pools: tuple[PoolUsage, ...] = ()
    listeners: tuple[ListenerUsage, ...] | None = None
    dropping: tuple[DropUsage, ...] = ()
    queueing: tuple[QueueUsage, ...] = ()
    task_limits: tuple[TaskLimit, ...] = ()
    most_threads: Mapping[Owner, ProcessName] = field(default_factory=dict)
    most_fds: Mapping[Owner, ProcessName] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    gaps: tuple[Gap, ...] = ()
