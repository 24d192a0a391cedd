"""The table of limits. A new limit is one row here: how it is read, when it is too full, what is said and done about it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from auditor.evaluate import network, readings, remedies, sentences
from auditor.model import NodeUsage, Reading

URGENT_PERCENT = 95


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit.

    Attributes:
        id: kebab-case, the same in the object, in metrics and in the documentation.
        rule: the finding it raises; also the event's reason.
        scope: what the limit binds: process, node, user, netns, pod or listener.
        title: what it counts, for the reference.
        warning: percent at which a finding opens.
        critical: percent at which it is critical; `None` where the kernel degrades instead of failing.
        steady: asks for two sweeps in a row. A reading that is about one owner, not about the node, always does.
        condition: the condition of the object that it feeds; `None` for one that only the verdict shows.
        read: the readings of one node.
        sentence: the finding's message.
        remedy: the finding's remedy.
        urgent: percent from which one sweep is enough in any case; `None` where a single one never is, for the figure
            is that of a moment.
    """

    id: str
    rule: str
    scope: str
    title: str
    warning: int
    critical: int | None
    steady: bool
    condition: str | None
    read: Callable[[NodeUsage], Iterable[Reading]]
    sentence: Callable[[Reading], str]
    remedy: Callable[[Reading], str]
    urgent: int | None = URGENT_PERCENT


LIMITS = (
    LimitRow(
        id="process-fds",
        rule="ProcessFDsHigh",
        scope="process",
        title="open descriptors of a process against its soft RLIMIT_NOFILE; the worst process of each container",
        warning=80,
        critical=95,
        steady=True,
        condition="FDPressure",
        read=readings.process_fds,
        sentence=sentences.process_fds,
        remedy=remedies.process_fds,
    ),
    LimitRow(
        id="file-handles",
        rule="FileHandlesHigh",
        scope="node",
        title="open file descriptions (fs.file-nr) against fs.file-max, which binds unprivileged processes only",
        warning=70,
        critical=90,
        steady=False,
        condition="FDPressure",
        read=readings.file_handles,
        sentence=sentences.file_handles,
        remedy=remedies.file_handles,
    ),
    LimitRow(
        id="inotify-instances",
        rule="InotifyInstancesHigh",
        scope="user",
        title="inotify instances of a user against fs.inotify.max_user_instances",
        warning=80,
        critical=95,
        steady=False,
        condition="InotifyPressure",
        read=readings.per_user("inotify-instances", lambda facts: facts.inotify_max_instances),
        sentence=sentences.inotify_instances,
        remedy=remedies.inotify_instances,
    ),
    LimitRow(
        id="inotify-watches",
        rule="InotifyWatchesHigh",
        scope="user",
        title="inotify watches of a user against fs.inotify.max_user_watches",
        warning=80,
        critical=95,
        steady=False,
        condition="InotifyPressure",
        read=readings.per_user("inotify-watches", lambda facts: facts.inotify_max_watches),
        sentence=sentences.inotify_watches,
        remedy=remedies.inotify_watches,
    ),
    LimitRow(
        id="epoll-watches",
        rule="EpollWatchesHigh",
        scope="user",
        title="descriptors that a user watches with epoll against fs.epoll.max_user_watches",
        warning=80,
        critical=95,
        steady=False,
        condition=None,
        read=readings.per_user("epoll-watches", lambda facts: facts.epoll_max_watches),
        sentence=sentences.epoll_watches,
        remedy=remedies.epoll_watches,
    ),
    LimitRow(
        id="pids",
        rule="PIDsHigh",
        scope="node, pod",
        title="tasks against kernel.pid_max, which counts every thread, and those of a pod or unit against its pids.max",
        warning=80,
        critical=95,
        steady=False,
        condition="PIDPressure",
        read=readings.pids,
        sentence=sentences.pids,
        remedy=remedies.pids,
    ),
    LimitRow(
        id="threads",
        rule="ThreadsHigh",
        scope="node",
        title="tasks against kernel.threads-max",
        warning=80,
        critical=95,
        steady=False,
        condition="PIDPressure",
        read=readings.threads,
        sentence=sentences.threads,
        remedy=remedies.threads,
    ),
    LimitRow(
        id="ephemeral-ports",
        rule="EphemeralPortsLow",
        scope="netns",
        title="local ports taken towards one destination (UDP: all) against net.ipv4.ip_local_port_range less the reserved; "
        "a bound from above while the namespace's sockets are under a quarter of it",
        warning=80,
        critical=95,
        steady=False,
        condition="PortPressure",
        read=network.ephemeral_ports,
        sentence=sentences.ephemeral_ports,
        remedy=remedies.ephemeral_ports,
    ),
    LimitRow(
        id="snat-ports",
        rule="SNATPortsLow",
        scope="node",
        title="TCP connections of the node to one destination outside of private networks against the SNAT ports that the "
        "operator says it has (`agent.snatPorts`); not read where nobody says",
        warning=80,
        critical=95,
        steady=False,
        condition="PortPressure",
        read=network.snat_ports,
        sentence=sentences.snat_ports,
        remedy=remedies.snat_ports,
    ),
    LimitRow(
        id="time-wait",
        rule="TimeWaitHigh",
        scope="netns",
        title="TIME_WAIT buckets of a network namespace against its tcp_max_tw_buckets",
        warning=80,
        critical=None,
        steady=True,
        condition="PortPressure",
        read=network.time_wait,
        sentence=sentences.time_wait,
        remedy=remedies.time_wait,
    ),
    LimitRow(
        id="aio",
        rule="AIOHigh",
        scope="node",
        title="asynchronous I/O events that contexts were made for (fs.aio-nr) against fs.aio-max-nr",
        warning=80,
        critical=95,
        steady=False,
        condition=None,
        read=readings.pool("aio"),
        sentence=sentences.aio,
        remedy=remedies.aio,
    ),
    LimitRow(
        id="ptys",
        rule="PTYsHigh",
        scope="node",
        title="pseudo-terminals (kernel.pty.nr) against kernel.pty.max less the reserve that containers may not use",
        warning=80,
        critical=95,
        steady=False,
        condition=None,
        read=readings.pool("ptys"),
        sentence=sentences.ptys,
        remedy=remedies.ptys,
    ),
    LimitRow(
        id="orphans",
        rule="OrphansHigh",
        scope="node",
        title="TCP sockets that no process has any more against net.ipv4.tcp_max_orphans",
        warning=80,
        critical=None,
        steady=True,
        condition="SocketMemoryPressure",
        read=readings.pool("orphans", lambda sockets: sockets.orphans),
        sentence=sentences.orphans,
        remedy=remedies.orphans,
    ),
    LimitRow(
        id="tcp-memory",
        rule="TCPMemoryHigh",
        scope="node",
        title="pages of TCP socket memory against the third figure of net.ipv4.tcp_mem; the warning opens at the second, "
        "where the kernel begins to save (two thirds unless set)",
        warning=66,
        critical=95,
        steady=False,
        condition="SocketMemoryPressure",
        read=readings.pool("tcp-memory", lambda sockets: sockets.tcp_queued_bytes, "bytes queued"),
        sentence=sentences.tcp_memory,
        remedy=remedies.tcp_memory,
    ),
    LimitRow(
        id="udp-memory",
        rule="UDPMemoryHigh",
        scope="node",
        title="pages of UDP socket memory against the third figure of net.ipv4.udp_mem; the warning opens at the second "
        "(two thirds unless set)",
        warning=66,
        critical=95,
        steady=False,
        condition="SocketMemoryPressure",
        read=readings.pool("udp-memory", lambda sockets: sockets.udp_queued_bytes, "bytes queued"),
        sentence=sentences.udp_memory,
        remedy=remedies.udp_memory,
    ),
    LimitRow(
        id="neighbours",
        rule="NeighboursHigh",
        scope="node",
        title="entries of the ARP or NDISC table, which all network namespaces share, against its gc_thresh3",
        warning=70,
        critical=90,
        steady=False,
        condition=None,
        read=readings.pool("neighbours"),
        sentence=sentences.neighbours,
        remedy=remedies.neighbours,
    ),
    LimitRow(
        id="conntrack",
        rule="ConntrackHigh",
        scope="netns",
        title="tracked connections of a network namespace against nf_conntrack_max, which binds each by itself",
        warning=75,
        critical=90,
        steady=False,
        condition="ConntrackPressure",
        read=network.conntrack,
        sentence=sentences.conntrack,
        remedy=remedies.conntrack,
    ),
    LimitRow(
        id="keys",
        rule="KeysHigh",
        scope="user",
        title="keys of a user, and their bytes, against kernel.keys.maxkeys and maxbytes (of root: root_maxkeys, root_maxbytes)",
        warning=80,
        critical=95,
        steady=False,
        condition=None,
        read=readings.per_user("keys"),
        sentence=sentences.keys,
        remedy=remedies.keys,
    ),
    LimitRow(
        id="listen-backlog",
        rule="ListenBacklogHigh",
        scope="listener",
        title="connections waiting to be accepted against the backlog and one more, where the queue is full",
        warning=80,
        critical=95,
        steady=True,
        condition=None,
        read=network.listen_backlog,
        sentence=sentences.listen_backlog,
        remedy=remedies.listen_backlog,
        urgent=None,
    ),
)

MOMENTARY = frozenset(row.id for row in LIMITS if row.urgent is None)
"""Limits whose figure comes and goes within a second: only a finding says that it stays."""
