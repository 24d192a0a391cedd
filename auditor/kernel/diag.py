"""sock_diag(7): TCP, UDP and UNIX sockets of the calling thread's network namespace, one by one, over netlink.

Needs no capability. Every dump but that of listeners walks the hash table of the whole node, so callers ask only where
sockstat shows some. Layouts: include/uapi/linux/inet_diag.h and unix_diag.h.
"""

import socket
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from auditor.kernel import netlink
from auditor.kernel.netlink import Row
from auditor.model.words import clean

NETLINK_SOCK_DIAG = 4
TCPDIAG_GETSOCK = 18  # the compat request: both address families in one walk
SOCK_DIAG_BY_FAMILY = 20
IPPROTO_UDPLITE = 136

_CLOSE_WAIT = 8  # TCP_CLOSE_WAIT
_INFO = 2  # INET_DIAG_INFO
_SILENCE = struct.Struct("=56x I")
_LISTEN = 10  # TCP_LISTEN, include/net/tcp_states.h
_SKMEMINFO = 7  # INET_DIAG_SKMEMINFO
_MAPPED = bytes(10) + b"\xff\xff"
_COOKIE = 6  # in an `InetRow`
_ATTRIBUTE = struct.Struct("=HH")
_LENGTHS = struct.Struct("=II")
_UDIAG_SHOW_NAME, _UDIAG_SHOW_RQLEN, _UNIX_NAME, _UNIX_RQLEN = 0x1, 0x10, 0, 4  # include/uapi/linux/unix_diag.h
_MEMINFO = struct.Struct("=32x I")
_ALL_STATES = 0x1FFF  # up to NEW_SYN_RECV, which is reported as SYN_RECV
_EVERYTHING = 0xFFFFFFFF

# Each after its nlmsghdr of 16 bytes.
INET_MESSAGE = struct.Struct("=16x B B 2x 2s 2s 16s 16s 4x Q I I I 4x I")
"""inet_diag_msg: family, state, ports and addresses (local, remote), cookie, expires, rqueue, wqueue, inode."""
UNIX_MESSAGE = struct.Struct("=16x 2x B x I Q")
"""unix_diag_msg: state, inode, cookie."""


InetRow = tuple[int, int, bytes, bytes, bytes, bytes, int, int, int, int, int]
"""A TCP or UDP socket as `INET_MESSAGE` unpacks it: there may be hundreds of thousands, so it stays a bare tuple.

Inode 0: TIME_WAIT, orphans, half-open and unaccepted connections. The queues are bytes; of a listener, connections.
`expires`: milliseconds until its timer ends; of TIME_WAIT, what is left of the minute.
"""


def dump_tcp() -> list[InetRow]:
    """Dump all TCP sockets, v4 and v6.

    A FIN_WAIT2 mini-socket says FIN_WAIT2, though it is counted among the TIME_WAIT buckets.

    Raises:
        Absent: the kernel has no tcp_diag. Denied: refused by a filter. Malformed: any other failure.
    """
    body = struct.pack("=BBBB48xII", 0, 0, 0, 0, _ALL_STATES, 0)
    return distinct(netlink.dump(NETLINK_SOCK_DIAG, TCPDIAG_GETSOCK, body, INET_MESSAGE))


def dump_udp(*, lite: bool = False) -> list[tuple[InetRow, int | None]]:
    """Dump all bound UDP (or UDP-Lite) sockets, v4 and v6, with what each has dropped. Raises as `dump_tcp`."""
    protocol = IPPROTO_UDPLITE if lite else socket.IPPROTO_UDP
    rows = _by_family(protocol, _EVERYTHING, extensions=1 << _SKMEMINFO - 1, layout=_WithDrops())
    return [((*row,), drops) for *row, drops in distinct(rows)]


def dump_unix() -> set[int]:
    """Dump the inodes of all UNIX sockets. Raises as `dump_tcp`."""
    request = struct.pack("=BBHIIIQ", socket.AF_UNIX, 0, 0, _EVERYTHING, 0, 0, 0)
    rows = netlink.dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, request, UNIX_MESSAGE)
    return {inode for _, inode, _ in rows}


class UnixListener(NamedTuple):
    """A UNIX socket that listens.

    Attributes:
        name: its path; `@` and the name of an abstract one; empty where it has none.
        queue: connections that wait to be accepted.
        backlog: the queue is full at one more.
    """

    name: str
    queue: int
    backlog: int
    inode: int


def dump_unix_listeners() -> list[UnixListener]:
    """Dump the UNIX sockets that listen. Raises as `dump_tcp`."""
    show = _UDIAG_SHOW_NAME | _UDIAG_SHOW_RQLEN
    request = struct.pack("=BBHIIIQ", socket.AF_UNIX, 0, 0, 1 << _LISTEN, 0, show, 0)
    rows = netlink.dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, request, _WithNameAndQueue())
    return [UnixListener(unix_name(name), queue, backlog, inode) for _, inode, _, name, queue, backlog in rows]


def unix_name(name: bytes) -> str:
    """Write the name of a UNIX socket: an abstract one begins with a zero, a path may end with one."""
    text = name[1:] if name.startswith(b"\0") else name.split(b"\0", 1)[0]
    return ("@" if name.startswith(b"\0") else "") + clean(text.decode(errors="replace"))


class Listener(NamedTuple):
    """A TCP socket that listens.

    One that belongs to an MPTCP socket (protocol 262) shows that one's inode and queue. Asking for MPTCP by its number
    would walk the node's table of MPTCP tokens for each namespace (1.6 ms when empty).

    Attributes:
        address: local address in network order, 4 or 16 bytes.
        queue: connections that wait to be accepted.
        backlog: as the kernel keeps it; the queue is full at one more.
        drops: connections and segments it has dropped so far (sk_drops); `None` where the kernel does not say.
    """

    address: bytes
    port: int
    queue: int
    backlog: int
    inode: int
    drops: int | None


def dump_listeners() -> list[Listener]:
    """Dump the sockets that listen, v4 and v6: a table of its own, so it costs next to nothing. Raises as `dump_tcp`."""
    rows = _by_family(socket.IPPROTO_TCP, 1 << _LISTEN, extensions=1 << _SKMEMINFO - 1, layout=_WithDrops())
    return [
        Listener(short_address(family, address), int.from_bytes(port, "big"), queue, backlog, inode, drops)
        for family, _, port, _, address, _, _, _, queue, backlog, inode, drops in rows
    ]


def dump_silence() -> dict[int, int]:
    """Return for each socket in CLOSE_WAIT, by cookie, the milliseconds since it last heard of its peer: since the FIN.

    From tcpi_last_ack_recv (include/uapi/linux/tcp.h). Raises as `dump_tcp`.
    """
    rows = _by_family(socket.IPPROTO_TCP, 1 << _CLOSE_WAIT, extensions=1 << _INFO - 1, layout=_WithSilence())
    return {row[_COOKIE]: row[-1] for row in rows if row[-1] is not None}


def distinct(rows: list[Row]) -> list[Any]:
    """Drop what a walk met twice: the cookie is a socket's own and stays when it becomes a mini-socket."""
    return list({row[_COOKIE]: row for row in rows}.values())


def short_address(family: int, address: bytes) -> bytes:
    """Return the bytes of an address that count: an IPv4 one has four, also when it is written as IPv6."""
    if family == socket.AF_INET:
        return address[:4]
    return address[12:] if address.startswith(_MAPPED) else address


@lru_cache(maxsize=1024)
def written(address: bytes) -> str:
    """Write an address in network order, of 4 or 16 bytes; `?` for what is none."""
    match len(address):
        case 4:
            return socket.inet_ntop(socket.AF_INET, address)
        case 16:
            return socket.inet_ntop(socket.AF_INET6, address)
        case _:
            return "?"


class _WithDrops:
    """`INET_MESSAGE` and the last figure of the attribute INET_DIAG_SKMEMINFO, SK_MEMINFO_DROPS."""

    size = INET_MESSAGE.size

    def unpack_from(self, buffer: memoryview | bytes, offset: int = 0, /) -> Row:
        end = offset + int(netlink.HEADER.unpack_from(buffer, offset)[0])
        return (*INET_MESSAGE.unpack_from(buffer, offset), _drops(buffer, offset + self.size, end))


def _drops(buffer: memoryview | bytes, offset: int, end: int) -> int | None:
    for kind, value in _attributes(buffer, offset, end):
        if kind == _SKMEMINFO and len(value) >= _MEMINFO.size:
            return int(_MEMINFO.unpack_from(value)[0])
    return None


class _WithSilence:
    """`INET_MESSAGE` and tcpi_last_ack_recv of the attribute INET_DIAG_INFO."""

    size = INET_MESSAGE.size

    def unpack_from(self, buffer: memoryview | bytes, offset: int = 0, /) -> Row:
        end = offset + int(netlink.HEADER.unpack_from(buffer, offset)[0])
        silence = None
        for kind, value in _attributes(buffer, offset + self.size, end):
            if kind == _INFO and len(value) >= _SILENCE.size:
                silence = int(_SILENCE.unpack_from(value)[0])
        return (*INET_MESSAGE.unpack_from(buffer, offset), silence)


class _WithNameAndQueue:
    """`UNIX_MESSAGE` and the attributes UNIX_DIAG_NAME and UNIX_DIAG_RQLEN."""

    size = UNIX_MESSAGE.size

    def unpack_from(self, buffer: memoryview | bytes, offset: int = 0, /) -> Row:
        end = offset + int(netlink.HEADER.unpack_from(buffer, offset)[0])
        name, lengths = b"", (0, 0)
        for kind, value in _attributes(buffer, offset + self.size, end):
            if kind == _UNIX_NAME:
                name = bytes(value)
            elif kind == _UNIX_RQLEN and len(value) >= _LENGTHS.size:
                lengths = _LENGTHS.unpack_from(value)
        return (*UNIX_MESSAGE.unpack_from(buffer, offset), name, *lengths)


def _attributes(buffer: memoryview | bytes, offset: int, end: int) -> Iterator[tuple[int, memoryview | bytes]]:
    """Walk what follows a message; one that is cut ends the walk."""
    while offset + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(buffer, offset)
        if offset + length > end:
            return
        yield kind, buffer[offset + _ATTRIBUTE.size : offset + max(length, _ATTRIBUTE.size)]
        offset += max(_ATTRIBUTE.size, (length + 3) & ~3)


def _by_family(
    protocol: int,
    states: int,
    *,
    extensions: int = 0,
    layout: netlink.Layout = INET_MESSAGE,
) -> list[Row]:
    rows = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = struct.pack("=BBBBI48x", family, protocol, extensions, 0, states)
        rows += netlink.dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, body, layout)
    return rows
