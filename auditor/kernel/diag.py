"""sock_diag(7): TCP, UDP and UNIX sockets of the calling thread's network namespace, one by one, over netlink.

Needs no capability. Every dump but that of listeners walks the hash table of the whole node, so callers ask only where
sockstat shows some. Layouts: include/uapi/linux/inet_diag.h and unix_diag.h.
"""

import socket
import struct
from typing import NamedTuple

from auditor.kernel import netlink
from auditor.kernel.netlink import Row

NETLINK_SOCK_DIAG = 4
TCPDIAG_GETSOCK = 18  # the compat request: both address families in one walk
SOCK_DIAG_BY_FAMILY = 20
IPPROTO_UDPLITE = 136

_LISTEN = 10  # TCP_LISTEN, include/net/tcp_states.h
_SKMEMINFO = 7  # INET_DIAG_SKMEMINFO
_MAPPED = bytes(10) + b"\xff\xff"
_COOKIE = 6  # in an `InetRow`
_ATTRIBUTE = struct.Struct("=HH")
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


def dump_udp(*, lite: bool = False) -> list[InetRow]:
    """Dump all bound UDP (or UDP-Lite) sockets, v4 and v6. Raises as `dump_tcp`."""
    protocol = IPPROTO_UDPLITE if lite else socket.IPPROTO_UDP
    return distinct(_by_family(protocol, _EVERYTHING))


def dump_unix() -> set[int]:
    """Dump the inodes of all UNIX sockets. Raises as `dump_tcp`."""
    request = struct.pack("=BBHIIIQ", socket.AF_UNIX, 0, 0, _EVERYTHING, 0, 0, 0)
    rows = netlink.dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, request, UNIX_MESSAGE)
    return {inode for _, inode, _ in rows}


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


def distinct(rows: list[Row]) -> list[InetRow]:
    """Drop what a walk met twice: the cookie is a socket's own and stays when it becomes a mini-socket."""
    return list({row[_COOKIE]: row for row in rows}.values())


def short_address(family: int, address: bytes) -> bytes:
    """Return the bytes of an address that count: an IPv4 one has four, also when it is written as IPv6."""
    if family == socket.AF_INET:
        return address[:4]
    return address[12:] if address.startswith(_MAPPED) else address


class _WithDrops:
    """`INET_MESSAGE` and the last figure of the attribute INET_DIAG_SKMEMINFO, SK_MEMINFO_DROPS."""

    size = INET_MESSAGE.size

    def unpack_from(self, buffer: memoryview | bytes, offset: int = 0, /) -> Row:
        end = offset + int(netlink.HEADER.unpack_from(buffer, offset)[0])
        return (*INET_MESSAGE.unpack_from(buffer, offset), _drops(buffer, offset + self.size, end))


def _drops(buffer: memoryview | bytes, offset: int, end: int) -> int | None:
    while offset + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(buffer, offset)
        if kind == _SKMEMINFO and length >= _ATTRIBUTE.size + _MEMINFO.size and offset + length <= end:
            return int(_MEMINFO.unpack_from(buffer, offset + _ATTRIBUTE.size)[0])
        offset += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return None


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
