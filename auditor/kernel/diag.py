"""sock_diag(7): TCP, UDP and UNIX sockets of the calling thread's network namespace, one by one, over netlink.

Needs no capability. Every dump walks the hash table of the whole node, so callers ask only where sockstat shows some.
Layouts: include/uapi/linux/inet_diag.h, unix_diag.h and netlink.h.
"""

import errno
import os
import socket
import struct

from auditor.kernel.errors import Absent, Denied, Malformed

NETLINK_SOCK_DIAG = 4
TCPDIAG_GETSOCK = 18  # the compat request: both address families in one walk
SOCK_DIAG_BY_FAMILY = 20
IPPROTO_UDPLITE = 136

_NLM_F_REQUEST, _NLM_F_DUMP_INTR, _NLM_F_DUMP = 0x1, 0x10, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_ALL_STATES = 0x1FFF  # up to NEW_SYN_RECV, which is reported as SYN_RECV
_EVERYTHING = 0xFFFFFFFF
_RECEIVE_BYTES = 65536  # the kernel fills at most 32 KiB
_SECONDS = 10
_TRIES = 3

_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")

# Each after its nlmsghdr of 16 bytes.
INET_MESSAGE = struct.Struct("=16x x B 2x 4x 32x 4x Q 16x I")
"""inet_diag_msg: state, cookie, inode."""
UNIX_MESSAGE = struct.Struct("=16x 2x B x I Q")
"""unix_diag_msg: state, inode, cookie."""

Row = tuple[int, ...]


def dump_tcp() -> list[tuple[int, int]]:
    """Dump all TCP sockets, v4 and v6.

    A FIN_WAIT2 mini-socket says FIN_WAIT2, though it is counted among the TIME_WAIT buckets.

    Returns:
        (state, inode) of each. Inode 0: TIME_WAIT, orphans, half-open and unaccepted connections.

    Raises:
        Absent: the kernel has no tcp_diag. Denied: refused by a filter. Malformed: any other failure.
    """
    return _distinct(_dump(TCPDIAG_GETSOCK, struct.pack("=BBBB48xII", 0, 0, 0, 0, _ALL_STATES, 0), INET_MESSAGE))


def dump_udp(*, lite: bool = False) -> list[tuple[int, int]]:
    """Dump all bound UDP (or UDP-Lite) sockets, v4 and v6. Returns and raises as `dump_tcp`."""
    protocol = IPPROTO_UDPLITE if lite else socket.IPPROTO_UDP
    rows = []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = struct.pack("=BBBBI48x", family, protocol, 0, 0, _EVERYTHING)
        rows += _dump(SOCK_DIAG_BY_FAMILY, request, INET_MESSAGE)
    return _distinct(rows)


def dump_unix() -> set[int]:
    """Dump the inodes of all UNIX sockets. Raises as `dump_tcp`."""
    request = struct.pack("=BBHIIIQ", socket.AF_UNIX, 0, 0, _EVERYTHING, 0, 0, 0)
    return {inode for _, inode, _ in _dump(SOCK_DIAG_BY_FAMILY, request, UNIX_MESSAGE)}


def _distinct(rows: list[Row]) -> list[tuple[int, int]]:
    """Drop what a walk met twice: the cookie is a socket's own and stays when it becomes a mini-socket."""
    return list({cookie: (state, inode) for state, cookie, inode in rows}.values())


def _dump(kind: int, body: bytes, layout: struct.Struct) -> list[Row]:
    for _ in range(_TRIES):
        rows, torn = _dump_once(kind, body, layout)
        if not torn:
            return rows
    raise Malformed("sock_diag: the dump was interrupted each time")


def _dump_once(kind: int, body: bytes, layout: struct.Struct) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    done = torn = False
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_SECONDS)
            header = _HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
            netlink.send(header + body)
            buffer = bytearray(_RECEIVE_BYTES)
            while not done:
                size = netlink.recv_into(buffer)
                done, interrupted = parse(memoryview(buffer)[:size], layout, rows)
                torn |= interrupted
    except TimeoutError:
        raise Malformed(f"sock_diag: no answer within {_SECONDS} s") from None
    except OSError as error:
        raise _meaning(error.errno or 0) from None
    return rows, torn


def parse(data: memoryview | bytes, layout: struct.Struct, rows: list[Row]) -> tuple[bool, bool]:
    """Parse one datagram of a dump, adding its sockets to `rows`.

    Returns:
        Whether the dump ended, and whether the kernel marked it as torn by a concurrent change.

    Raises:
        Absent, Denied, Malformed: the kernel answered with an error, or with what is no netlink message.
    """
    torn = False
    offset, end = 0, len(data)
    if not end:
        raise Malformed("sock_diag: empty answer")
    while offset < end:
        if end - offset < _HEADER.size:
            raise Malformed("sock_diag: short header")
        length, kind, flags, _, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or length > end - offset:
            raise Malformed("sock_diag: wrong length")
        torn = torn or bool(flags & _NLM_F_DUMP_INTR)
        if kind in (_NLMSG_DONE, _NLMSG_ERROR):
            code = _ERROR.unpack_from(data, offset + _HEADER.size)[0] if length >= _HEADER.size + _ERROR.size else 0
            if code:
                raise _meaning(-code)
            return True, torn
        if length < layout.size:
            raise Malformed("sock_diag: short message")
        rows.append(layout.unpack_from(data, offset))
        offset += (length + 3) & ~3
    return False, torn


def _meaning(number: int) -> Absent | Denied | Malformed:
    if number in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
        return Absent("sock_diag")
    if number in (errno.EPERM, errno.EACCES):
        return Denied("sock_diag")
    return Malformed(f"sock_diag: {os.strerror(number)}")
