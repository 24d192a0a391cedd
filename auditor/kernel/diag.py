"""sock_diag(7): TCP, UDP and UNIX sockets of the calling thread's network namespace, one by one, over netlink.

Needs no capability. Every dump but that of listeners walks the hash table of the whole node, so callers ask only where
sockstat shows some. Layouts: include/uapi/linux/inet_diag.h and unix_diag.h.
"""

import socket
import struct

from auditor.kernel import netlink
from auditor.kernel.netlink import Row

NETLINK_SOCK_DIAG = 4
TCPDIAG_GETSOCK = 18  # the compat request: both address families in one walk
SOCK_DIAG_BY_FAMILY = 20
IPPROTO_UDPLITE = 136

_ALL_STATES = 0x1FFF  # up to NEW_SYN_RECV, which is reported as SYN_RECV
_EVERYTHING = 0xFFFFFFFF

# Each after its nlmsghdr of 16 bytes.
INET_MESSAGE = struct.Struct("=16x B B 2x 2s 2x 16s 16x 4x Q 4x I I 4x I")
"""inet_diag_msg: family, state, source port and address, cookie, rqueue, wqueue, inode."""
UNIX_MESSAGE = struct.Struct("=16x 2x B x I Q")
"""unix_diag_msg: state, inode, cookie."""


InetRow = tuple[int, int, bytes, bytes, int, int, int, int]
"""A TCP or UDP socket as `INET_MESSAGE` unpacks it: there may be hundreds of thousands, so it stays a bare tuple.

Inode 0: TIME_WAIT, orphans, half-open and unaccepted connections. The queues are bytes; of a listener, connections.
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


def distinct(rows: list[Row]) -> list[InetRow]:
    """Drop what a walk met twice: the cookie is a socket's own and stays when it becomes a mini-socket."""
    return list({row[4]: row for row in rows}.values())


def _by_family(protocol: int, states: int) -> list[Row]:
    rows = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = struct.pack("=BBBBI48x", family, protocol, 0, 0, states)
        rows += netlink.dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, body, INET_MESSAGE)
    return rows
