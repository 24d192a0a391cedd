"""The records that cross the border between the programs and Python: defined here, once.

`header.py` writes them for C; `layout.py` tells Python how to unpack them.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from auditor.kernel.bpf.layout import s32, s64, u8, u16, u32, u64
from auditor.model import Kind

KINDS = tuple(Kind)
TCP_STATES = 13  # include/net/tcp_states.h, up to TCP_NEW_SYN_RECV

MUCH_QUEUED = 16_384
"""Bytes in the queues of a TCP socket that make it worth watching whether they ever move."""

PEERS_AT_HAND = 8
"""Other ends of a task's connections that are told apart where it is summed."""

PEERS_MAX = 32_768
"""Those that are told apart besides, of all tasks together."""

EVERY = 32
"""Of so many established connections the programs look at the other end of one."""

PORTS_MAX = 16_384
"""Ports that are listened on whose connections are counted."""

SEVERAL_MAX = 32
"""Descriptions in one `Several`."""

TABLES_MAX = 65_536
"""Descriptor tables that are told apart; the connections of more are counted once for each task that shows them."""

USERS_MAX = 16_384
"""Budgets of inotify, and users of epoll, that find room."""

CONSTANTS = {f"KIND_{kind.name}": number for number, kind in enumerate(KINDS)} | {
    "KINDS": len(KINDS),
    "TCP_STATES": TCP_STATES,
    "KTHREAD": 1,
    "THREAD": 2,
    "WITH_TIME_WAIT": 4,
    "EXITING": 8,
    "SHARED": 1,
    "LISTENS": 2,
    "PTMX": 4,
    "DROPS": 8,
    "QUEUES": 16,
    "MUCH_QUEUED": MUCH_QUEUED,
    "PEERS_AT_HAND": PEERS_AT_HAND,
    "PEERS_MAX": PEERS_MAX,
    "EVERY": EVERY,
    "PORTS_MAX": PORTS_MAX,
    "TABLES_MAX": TABLES_MAX,
    "USERS_MAX": USERS_MAX,
    "SEVERAL_MAX": SEVERAL_MAX,
    "SUMS": 1,
    "HELD": 2,
    "NAMED": 3,
    "SEVERAL": 4,
    "TCP": 1,
    "UDP": 2,
    "UNIX": 3,
    "OTHER": 4,
}
"""Bits of `Task.flags` and `Held.flags`, what a record of the descriptor pass is (its tag), and sorts of sockets."""
KTHREAD, THREAD, WITH_TIME_WAIT, EXITING = (
    CONSTANTS[name] for name in ("KTHREAD", "THREAD", "WITH_TIME_WAIT", "EXITING")
)
SHARED, LISTENS, PTMX, DROPS, QUEUES = (CONSTANTS[name] for name in ("SHARED", "LISTENS", "PTMX", "DROPS", "QUEUES"))
SOCKETS = {CONSTANTS[name.upper()]: name for name in ("tcp", "udp", "unix", "other")}
TCP, UDP = CONSTANTS["TCP"], CONSTANTS["UDP"]


class Settings(NamedTuple):
    """What the programs are told.

    Attributes:
        single: references to a description that one descriptor and the iterator have.
        pid_namespace: inode of the reader's.
        own_pid: the reader's number in it.
        epolls: whether each epoll instance comes as a `Held`.
        egress: whether each connection to an address outside is counted by its other end, not only a sample.
        round: number of the pass: what another one counted is not added to.
        of_socket: by which file operations it is known, as are the others; 0 where they were not learned.
    """

    single: u64
    pid_namespace: u32
    own_pid: u32
    epolls: u32
    egress: u32
    round: u32
    reserved: u32 = 0
    of_socket: u64 = 0
    of_epoll: u64 = 0
    of_eventfd: u64 = 0
    of_inotify: u64 = 0
    of_timerfd: u64 = 0
    of_signalfd: u64 = 0


@dataclass(slots=True, eq=False)  # read more often than made, and a slot is read in a tenth of the time
class Task:
    """A process, a kernel thread, or a thread with a descriptor table of its own.

    Attributes:
        pid: number in the initial PID namespace, of the thread.
        tgid: the same of its process.
        number: of the process in the reader's PID namespace.
        thread: of the thread.
        start: of the process, in nanoseconds since boot.
        files: its descriptor table; 0 when it was given back.
        cgroups: its css_set: tasks with the same one are in the same cgroups.
        soft: RLIMIT_NOFILE.
        netns: inode of the network namespace; 0 when it was given back.
        mounts: inode of the mount namespace; 0 when it was given back.
        ports_low: its first ephemeral port.
        ports_high: the last one; 0 where the kernel does not say.
    """

    pid: u32
    tgid: u32
    number: u32
    flags: u32
    start: u64
    files: u64
    cgroups: u64
    soft: u64
    hard: u64
    threads: u32
    euid: u32
    netns: u32
    mounts: u32
    time_wait_max: s32
    thread: u32
    ports_low: u16
    ports_high: u16
    reserved: u32
    command: Annotated[bytes, "u8", 16]


class Sums(NamedTuple):
    """What the table of a task holds. So many `Peer` follow as its size has room for.

    Attributes:
        size: of the record in bytes, as every record of the descriptor pass says behind its tag.
        netns: the task's. Sockets of it are summed here; of others in the map `strangers`, and counted in `elsewhere`.
        fds: all of them.
        shared: those whose description has other references: each comes as a `Held` or in a `Several`, and its socket is
            not summed here.
        lost: sockets that found no room in a map.
        tcp_queued: bytes.
        kinds: how many of each, as `KINDS` has them.
        tcp: sockets by state.
        more_peers: 1 where others are in the map `peers`.
    """

    tag: u16
    size: u16
    pid: u32
    netns: u32
    fds: u32
    shared: u32
    lost: u32
    tcp_queued: u64
    udp_queued: u64
    kinds: Annotated[bytes, "u32", len(KINDS)]
    tcp: Annotated[bytes, "u32", TCP_STATES]
    udp: u32
    unix: u32
    other: u32
    elsewhere: u32
    more_peers: u32


class Peer(NamedTuple):
    """TCP sockets of one task in one state with the same other end; port 0: clients."""

    address: Annotated[bytes, "u8", 16]
    state: u8
    family: u8
    port: u16
    number: u32


class Several(NamedTuple):
    """Shared descriptions of which no more matters than by whom. Only as many as there are are written."""

    tag: u16
    size: u16
    pid: u32
    number: u64
    files: Annotated[bytes, "u64", SEVERAL_MAX]


class Held(NamedTuple):
    """One descriptor: of a socket that is shared, listens, has dropped or queues, of a terminal's master, or of inotify.

    Attributes:
        file: the description.
        budget: of an inotify instance, a key of the map `budgets`.
        netns: of a socket; of an epoll instance the user whose watches it counts among.
        socket: 0, or which sort.
        queue: of a listener, connections that wait; of a TCP socket with much in its queues, bytes that nobody has read.
        backlog: of a listener; of such a socket, bytes that are not acknowledged.
        drops: sk_drops of a listener or a UDP socket.
        queued: bytes in the queues of any other.
        requests: of a listener, connections half open.
        address: local, of a listener or a UDP socket that has dropped; of any other TCP socket its peer's.
        peer_port: of a TCP socket that does not listen.
    """

    tag: u16
    size: u16
    pid: u32
    file: u64
    budget: u64
    fd: u32
    netns: u32
    kind: u8
    flags: u8
    socket: u8
    state: u8
    family: u16
    protocol: u16
    queue: u32
    backlog: u32
    drops: u32
    queued: u32
    port: u16
    peer_port: u16
    requests: u32
    address: Annotated[bytes, "u8", 16]


class Named(NamedTuple):
    """The name of a UNIX socket that listens: a path, or behind a zero an abstract name."""

    tag: u16
    size: u16
    length: u32
    file: u64
    name: Annotated[bytes, "u8", 128]


class Lesson(NamedTuple):
    """One of the reader's own descriptors."""

    operations: u64
    references: u64
    fd: u32
    reserved: u32


class Charged(NamedTuple):
    """A user's budget of inotify (struct ucounts), one level of the chain.

    Attributes:
        above: the budget that is charged as well, in the user namespace above; 0 on top.
    """

    above: u64
    user_namespace: u32
    uid: u32
    instances: s64
    instances_max: s64
    watches: s64
    watches_max: s64


class Stranger(NamedTuple):
    """Key of sockets that are in another namespace than who holds them."""

    pid: u32
    netns: u32
    socket: u8
    state: u8
    reserved: u16


class StrangersOf(NamedTuple):
    """Their number, and the bytes in their queues."""

    number: u64
    queued: u64


PortKey = tuple[int, int, int]
"""What is in a `Port`. There are many of these: a plain tuple is made, and taken apart, in half the time."""


class Port(NamedTuple):
    """Key of a port that is listened on."""

    netns: u32
    number: u16
    family: u16


class Accepted(NamedTuple):
    """Established connections of a port, and the pass that counted them."""

    round: u32
    number: u32


class OwnRange(NamedTuple):
    """Key of a range of ephemeral ports that single sockets have, where the program asked for it; 0: that end is not set."""

    netns: u32
    low: u16
    high: u16


class PeerOf(NamedTuple):
    """Key of those that found no room behind the sums of their task."""

    address: Annotated[bytes, "u8", 16]
    state: u8
    family: u8
    port: u16
    pid: u32


class Number(NamedTuple):
    """A key or a value of one word."""

    value: u64


class Signed(NamedTuple):
    """A value that may be below zero."""

    value: s64


class Word(NamedTuple):
    """The same of half the size."""

    value: u32
