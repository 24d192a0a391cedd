"""The SockAudit object: one pydantic model, from which the CRD, the manifests and the reference are made.

Absent means unknown. Lists that may grow are capped, and say how many rows were left out.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "sockaudit.io"
VERSION = "v1alpha1"
KIND = "SockAudit"
PLURAL = "sockaudits"

Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Percent = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Time = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
Name = Annotated[str, Field(max_length=253)]
Text = Annotated[str, Field(max_length=1024)]
REASON = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
"""One word why, as the API asks of conditions."""
REASON_MOST = 128


SeverityWord = Literal["Info", "Warning", "Critical"]
LimitState = Literal["Known", "Unlimited", "Unknown"]
OutsideKind = Literal["Unit", "Container", "Host", "Kernel"]
OwnerWord = Literal["Pod", "Unit", "Container", "Host", "Kernel"]
SubjectWord = Literal["Pod", "Unit", "Container", "Host", "Kernel", "Node"]
ConditionStatus = Literal["True", "False", "Unknown"]
VerdictWord = Literal["OK", "Warning", "Critical", "Unknown"]


class _Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Kinds(_Shape):
    """Open file descriptors by what they refer to. Complete or absent; sums to `fds`."""

    file: Count = Field(description="Regular files and directories.")
    socket: Count = Field(description="Sockets of every family.")
    pipe: Count = Field(description="Pipes and FIFOs.")
    epoll: Count = Field(description="epoll instances.")
    eventfd: Count = Field(description="eventfd counters.")
    inotify: Count = Field(description="inotify instances.")
    timerfd: Count = Field(description="Timers.")
    signalfd: Count = Field(description="Signal descriptors.")
    tty: Count = Field(description="Terminals and pseudo-terminals.")
    device: Count = Field(description="Other device files.")
    memfd: Count = Field(description="Anonymous memory files.")
    other: Count = Field(description="Everything else: BPF objects, perf events, pidfds, io_uring and the like.")


class Tcp(_Shape):
    """TCP sockets by state, IPv4 and IPv6 together."""

    established: Count = Field(description="Open connections.")
    syn_sent: Count = Field(description="Connecting.")
    syn_recv: Count | None = Field(
        None, description="Half open: being connected to. Absent where they were not listed; then they are in no sum."
    )
    fin_wait1: Count = Field(alias="finWait1", description="Closed here, the peer has not acknowledged it.")
    fin_wait2: Count = Field(alias="finWait2", description="Closed here, the peer has not closed yet.")
    time_wait: Count = Field(description="Closed on both sides, waiting for stray packets. Has no descriptor.")
    close: Count = Field(
        description="Not connected. By procfs also those in a network namespace that no process is in."
    )
    close_wait: Count = Field(description="Closed by the peer, not by the application.")
    last_ack: Count = Field(description="Closed on both sides, the last acknowledgement is missing.")
    listen: Count = Field(description="Listening.")
    closing: Count = Field(description="Closed on both sides at the same time.")


class Sockets(_Shape):
    """Distinct sockets. Those of the own network namespace without a descriptor are included."""

    tcp: Tcp | None = Field(None, description="TCP by state.")
    udp: Count | None = Field(None, description="UDP.")
    unix: Count | None = Field(None, description="UNIX domain.")
    other: Count | None = Field(None, description="Netlink, packet, raw and every other family.")


class WorstProcess(_Shape):
    """The process nearest to its own descriptor limit."""

    pid: Count = Field(description="Process id in the node's PID namespace.")
    command: Annotated[str, Field(max_length=64)] = Field(description="comm, never the command line.")
    container: Name | None = Field(None, description="Container, by name where it is known, else by id.")
    fds: Count = Field(description="Open file descriptors.")
    soft_limit: Count | None = Field(
        None, description="RLIMIT_NOFILE, soft: where open() fails. Absent: unlimited or unknown."
    )
    hard_limit: Count | None = Field(None, description="RLIMIT_NOFILE, hard. Absent: unlimited or unknown.")
    percent: Percent | None = Field(None, description="Share of the soft limit, rounded down.")


class Container(_Shape):
    """One container."""

    name: Name | None = Field(None, description="Absent for a pod's sandbox and where the API is away.")
    id: Name | None = Field(None, description="Bare id. Absent for what runs in the pod's cgroup but in no container.")
    runtime: Name | None = Field(None, description="Who made it. Absent where its cgroup does not tell.")
    fds: Count | None = Field(None, description="Open file descriptors of its processes.")


class _Holder(_Shape):
    fds: Count | None = Field(None, description="Open file descriptors; a table shared by processes counts once.")
    open_descriptions: Count | None = Field(None, description="Distinct open file descriptions. Absent unless exact.")
    kinds: Kinds | None = Field(None, description="Descriptors by kind, all or nothing.")
    sockets: Sockets | None = Field(None, description="Distinct sockets.")
    worst_process: WorstProcess | None = Field(None, description="The process nearest to its own limit.")


class Pod(_Holder):
    """What one pod holds."""

    namespace: Name | None = Field(None, description="Absent when only the uid is known.")
    name: Name | None = Field(None, description="Absent when only the uid is known.")
    uid: Name = Field(description="As the pod's cgroup spells it; a static pod's is its config hash.")
    workload: Name | None = Field(None, description="Top owner as kind/name.")
    host_network: bool | None = Field(None, description="Shares the node's network: shows its processes' sockets only.")
    qos_class: Name | None = Field(
        None, description="Guaranteed, Burstable or BestEffort. Absent where its cgroup does not tell."
    )
    fds_peak: Count | None = Field(None, description="Most descriptors in seven days.")
    containers: list[Container] = Field(default_factory=list, max_length=64, description="Its containers.")


class Other(_Holder):
    """What is held outside of pods."""

    kind: OutsideKind = Field(description="systemd unit, foreign container, the rest, the kernel.")
    name: Name | None = Field(None, description="Unit name or container id.")
    runtime: Name | None = Field(None, description="Who made the container. Absent where its cgroup does not tell.")
    processes: Count | None = Field(None, description="Processes.")
    threads: Count | None = Field(None, description="Threads.")


class Workload(_Shape):
    """All pods of one workload on this node."""

    namespace: Name = Field(description="Namespace.")
    kind: Name = Field(description="Deployment, StatefulSet, DaemonSet, Job or another top owner.")
    name: Name = Field(description="Name.")
    pods: Count = Field(description="Pods on this node.")
    fds_peak: Count | None = Field(None, description="Most descriptors one of its pods held in seven days.")
    soft_min: Count | None = Field(None, description="Lowest soft descriptor limit of its worst processes.")
    soft_max: Count | None = Field(None, description="Highest soft descriptor limit of its worst processes.")
    hard_min: Count | None = Field(None, description="Lowest hard descriptor limit of its containers.")
    hard_max: Count | None = Field(None, description="Highest hard descriptor limit of its containers.")


class PodShare(_Shape):
    """What single pods take of a pool at their peak, DaemonSets left out."""

    pods: Count = Field(description="Pods counted.")
    p50: Count = Field(description="Median.")
    p90: Count = Field(description="Nine of ten pods take no more.")
    max: Count = Field(description="The greatest.")


class LimitUse(_Shape):
    """One limit in one scope."""

    name: Name = Field(description="Id of the limit.")
    scope: Text = Field(description="What it binds: node, a user, a network namespace, a container's worst process.")
    used: Count | None = Field(None, description="Absent: unknown.")
    limit: Count | None = Field(None, description="Absent: unlimited or unknown, see limitState.")
    limit_state: LimitState = Field(description="Whether there is a limit to compare with.")
    percent: Percent | None = Field(None, description="used / limit, rounded down; may pass 100.")
    warning: Count | None = Field(None, description="Percent at which a finding opens, as in force here.")
    critical: Count | None = Field(None, description="Percent at which it is critical. Absent: never.")
    estimate: bool | None = Field(None, description="Derived from what is visible, not read from the kernel's counter.")
    peak: Count | None = Field(None, description="Greatest use since peakSince.")
    peak_at: Time | None = Field(None, description="When the peak was reached.")
    peak_since: Time | None = Field(None, description="First observation covered, at most seven days ago.")
    exhausts_at: Time | None = Field(None, description="When it runs out, where a trend is worth trusting.")
    pod_share: PodShare | None = Field(None, description="What single pods take.")


class Subject(_Shape):
    """What a finding is about."""

    kind: SubjectWord = Field(description="Node for shared pools.")
    namespace: Name | None = Field(None, description="Pods.")
    name: Name | None = Field(None, description="Absent when only the uid is known.")
    uid: Name | None = Field(None, description="Pods: as the cgroup spells it.")
    container: Name | None = Field(None, description="Name where it is known, else id.")
    pid: Count | None = Field(None, description="Process at the time of the last audit.")
    command: Annotated[str, Field(max_length=64)] | None = Field(None, description="comm of that process.")


class Share(_Shape):
    """What one owner takes of a pool."""

    kind: OwnerWord = Field(description="Kind of owner.")
    namespace: Name | None = Field(None, description="Pods.")
    name: Name | None = Field(None, description="Absent when only the uid is known.")
    uid: Name | None = Field(None, description="Pods.")
    pid: Count | None = Field(None, description="Of the host or a unit: the process that takes most, where known.")
    command: Annotated[str, Field(max_length=64)] | None = Field(None, description="Its comm, never the command line.")
    used: Count | None = Field(None, description="How much of the pool.")
    estimate: bool | None = Field(None, description="`used` comes from a sample.")
    unit: Name | None = Field(None, description="What `used` counts where the limit itself counts something else.")


class Finding(_Shape):
    """Something that is wrong or soon will be."""

    id: Text = Field(description="Stable over sweeps and restarts.")
    rule: Name = Field(description="Id of the rule, also the reason of its events.")
    severity: SeverityWord = Field(description="How bad.")
    subject: Subject = Field(description="What it is about.")
    name: Name | None = Field(None, description="Id of the limit, where it is about one.")
    scope: Text | None = Field(None, description="Scope of the limit.")
    used: Count | None = Field(None, description="In use.")
    limit: Count | None = Field(None, description="The limit.")
    percent: Percent | None = Field(None, description="used / limit, rounded down.")
    since: Time = Field(description="When it opened.")
    exhausts_at: Time | None = Field(None, description="When it runs out.")
    consumers: list[Share] = Field(
        default_factory=list, max_length=5, description="Who takes the pool, the greatest first."
    )
    affected: list[Share] = Field(default_factory=list, max_length=5, description="Who fails next.")
    message: Text = Field(description="One sentence: who, how much of what.")
    remedy: Text = Field(description="What to change, and whether a restart is needed.")


class Listener(_Shape):
    """An address that is listened on."""

    kind: OwnerWord = Field(description="Kind of owner.")
    namespace: Name | None = Field(None, description="Pods.")
    name: Name | None = Field(None, description="Absent when only the uid is known.")
    uid: Name | None = Field(None, description="Pods.")
    address: Name = Field(description="Local address; 0.0.0.0 or :: for all; of a UNIX socket its path or @name.")
    port: Count = Field(description="Local port; 0 of a UNIX socket.")
    protocol: Name = Field(description="tcp, mptcp or unix.")
    connections: Count | None = Field(None, description="Established connections at this address.")
    queue: Count = Field(description="Connections waiting to be accepted.")
    backlog: Count = Field(description="The queue is full at one more.")
    drops: Count | None = Field(None, description="Dropped since it began to listen.")


class Condition(_Shape):
    """As every Kubernetes condition."""

    type: Annotated[str, Field(max_length=64)] = Field(description="Which question is answered.")
    status: ConditionStatus = Field(description="Whether it holds.")
    reason: Annotated[str, Field(max_length=REASON_MOST, pattern=REASON)] = Field(description="One word why.")
    message: Text = Field("", description="One sentence why.")
    last_transition_time: Time = Field(description="When the status last changed.")


class Gap(_Shape):
    """What the audit could not see."""

    id: Name = Field(description="Stable name.")
    detail: Text = Field(description="What is missing, why, and what would show it.")
    count: Count | None = Field(None, description="How many processes, pods or namespaces.")
    limits: list[Name] = Field(
        default_factory=list, max_length=40, description="Limits that cannot be judged meanwhile."
    )


class Coverage(_Shape):
    """How the figures were obtained and what they miss."""

    source: Name = Field(description="procfs or bpf.")
    reason: Text = Field(description="Why this source.")
    processes: Count = Field(description="Processes read.")
    vanished: Count = Field(description="Processes that ended while being read.")
    denied: Count = Field(description="Processes of which a part was refused.")
    filled_in: Count = Field(description="Processes that the source missed and procfs supplied.")
    sweep_seconds: float = Field(description="Wall time of the sweep.")
    cpu_seconds: float = Field(description="CPU time of the sweep.")
    effective_interval: float = Field(description="Seconds between sweeps, stretched when the CPU budget asks for it.")
    gaps: list[Gap] = Field(default_factory=list, max_length=40, description="What could not be seen.")
    gaps_truncated: Count | None = Field(None, description="Gaps left out.")


class Totals(_Shape):
    """Sums of the node, each thing once."""

    fds: Count | None = Field(None, description="Open file descriptors of all tables.")
    open_descriptions: Count | None = Field(None, description="Distinct open file descriptions held by descriptors.")
    sockets: Count | None = Field(None, description="Distinct sockets, those without a descriptor included.")
    shared_descriptions: Count | None = Field(
        None, description="Sum of openDescriptions over all owners less the node's: what several owners hold."
    )


class Node(_Shape):
    """What the node is and holds in all."""

    kernel: Name = Field(description="Release.")
    os_image: Name | None = Field(None, description="As the Node reports it.")
    runtime: Name | None = Field(None, description="Container runtime and version.")
    runtime_hard_limit: Count | None = Field(
        None, description="Hard descriptor limit of the runtime's own process, which new containers get from it."
    )
    pods_allocatable: Count | None = Field(None, description="Pods the scheduler may place here.")
    processes: Count = Field(description="Processes, kernel threads included.")
    threads: Count | None = Field(None, description="Threads, kernel threads included.")
    pods: Count = Field(description="Pods with processes.")
    containers: Count = Field(description="Containers with processes.")
    totals: Totals = Field(description="Sums.")


class Summary(_Shape):
    """The node in one line."""

    limit: Name | None = Field(None, description="The limit nearest to its end.")
    scope: Text | None = Field(None, description="Its scope.")
    percent: Percent | None = Field(None, description="Its use, rounded down.")
    exhausts_at: Time | None = Field(None, description="When it runs out.")
    full_in: Literal["<15m", "<1h", "<6h", "<1d"] | None = Field(None, description="The same in coarse words.")
    top_pod: Text | None = Field(None, description="The pod under or causing most pressure.")
    findings: Count = Field(description="Open findings.")
    warning: Count = Field(description="Of these at Warning.")
    critical: Count = Field(description="Of these at Critical.")


class Status(_Shape):
    """What the latest audit of this node found."""

    observed_at: Time = Field(description="When the sweep ended. Older than 15 minutes: treat the object as Unknown.")
    verdict: VerdictWord = Field(description="Worst open severity; Unknown when a promised limit is unreadable.")
    summary: Summary = Field(description="The node in one line: what the columns of `kubectl get` show.")
    node: Node = Field(description="What the node is and holds in all.")
    limits: list[LimitUse] = Field(
        default_factory=list, max_length=1000, description="The worst scope of each limit, and all over warning."
    )
    limits_truncated: Count | None = Field(None, description="Limits left out.")
    pods: list[Pod] = Field(
        default_factory=list,
        max_length=2000,
        description="What each pod holds; the pod under or causing most pressure first.",
    )
    pods_truncated: Count | None = Field(None, description="Pods left out.")
    others: list[Other] = Field(
        default_factory=list,
        max_length=2000,
        description="The same for system units, containers outside of pods, and the rest of the host.",
    )
    others_truncated: Count | None = Field(None, description="Others left out.")
    workloads: list[Workload] = Field(
        default_factory=list,
        max_length=2000,
        description="All pods of the node, also those left out of `pods`, by workload.",
    )
    workloads_truncated: Count | None = Field(None, description="Workloads left out.")
    listeners: list[Listener] = Field(
        default_factory=list, max_length=2000, description="Addresses listened on, the fullest queue first."
    )
    listeners_truncated: Count | None = Field(None, description="Listeners left out.")
    findings: list[Finding] = Field(
        default_factory=list, max_length=1000, description="Open findings, the worst first."
    )
    findings_truncated: Count | None = Field(None, description="Findings left out.")
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=32,
        description="Yes-or-no answers for `kubectl wait` and alerts. Pressure is True when something is wrong.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    coverage: Coverage = Field(description="How it was seen, and what was not.")


class Spec(_Shape):
    """What an operator may ask for."""

    paused: bool | None = Field(None, description="True stops the audit of this node.")


class Document(_Shape):
    """A whole object, as `sockaudit scan -o json` prints it."""

    api_version: str = f"{GROUP}/{VERSION}"
    kind: str = KIND
    metadata: dict[str, object]
    spec: Spec | None = None
    status: Status


def plain(shape: BaseModel) -> dict[str, object]:
    """Return the JSON form: camelCase, what is unknown left out."""
    return shape.model_dump(mode="json", by_alias=True, exclude_none=True)


def total(sockets: Sockets | None) -> int | None:
    """Return all sockets, or `None` when any part is unknown."""
    if sockets is None or sockets.tcp is None or sockets.udp is None or sockets.unix is None or sockets.other is None:
        return None
    tcp = sum(getattr(sockets.tcp, state) or 0 for state in Tcp.model_fields)
    return int(tcp) + sockets.udp + sockets.unix + sockets.other
