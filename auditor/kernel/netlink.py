"""netlink(7): asking the kernel for a dump and walking its answer, for sock_diag and rtnetlink.

Layout: include/uapi/linux/netlink.h.
"""

import errno
import os
import socket
import struct
from typing import Any, Protocol

from auditor.kernel.errors import Absent, Denied, Malformed

_NLM_F_REQUEST, _NLM_F_DUMP_INTR, _NLM_F_DUMP = 0x1, 0x10, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RECEIVE_BYTES = 65536  # the kernel fills at most 32 KiB
_SECONDS = 10
_TRIES = 3

HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")

Row = tuple[Any, ...]


class Layout(Protocol):
    """What is taken of a message: a `struct.Struct`, or something that also reads attributes."""

    @property
    def size(self) -> int:
        """Bytes a message has at least, its header included."""

    def unpack_from(self, buffer: memoryview | bytes, offset: int = 0, /) -> Row:
        """Unpack one message, which is whole and at least `size` long."""


def dump(protocol: int, kind: int, body: bytes, layout: Layout, most: int | None = None) -> list[Row]:
    """Ask for a dump in the calling thread's network namespace.

    Nothing stays open: a netlink socket would keep the namespace alive after its pod.

    Args:
        protocol: NETLINK_*.
        kind: type of the request.
        body: what follows the header of the request.
        layout: of each message.
        most: messages after which to stop, once the datagram they are in is read; `None` for all.

    Raises:
        Absent: the kernel cannot. Denied: refused by a filter. Malformed: any other failure.
    """
    for _ in range(_TRIES):
        rows, torn = _dump_once(protocol, kind, body, layout, most)
        if not torn:
            return rows
    raise Malformed("netlink: the dump was interrupted each time")


def _dump_once(protocol: int, kind: int, body: bytes, layout: Layout, most: int | None) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    done = torn = False
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as netlink:
            netlink.settimeout(_SECONDS)
            header = HEADER.pack(HEADER.size + len(body), kind, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
            netlink.send(header + body)
            buffer = bytearray(_RECEIVE_BYTES)
            while not done and (most is None or len(rows) < most):
                size = netlink.recv_into(buffer)
                done, interrupted = parse(memoryview(buffer)[:size], layout, rows)
                torn |= interrupted
    except TimeoutError:
        raise Malformed(f"netlink: no answer within {_SECONDS} s") from None
    except OSError as error:
        raise _meaning(error.errno or 0) from None
    return rows, torn


def parse(data: memoryview | bytes, layout: Layout, rows: list[Row]) -> tuple[bool, bool]:
    """Parse one datagram of a dump, adding its messages to `rows`.

    Returns:
        Whether the dump ended, and whether the kernel marked it as torn by a concurrent change.

    Raises:
        Absent, Denied, Malformed: the kernel answered with an error, or with what is no netlink message.
    """
    torn = False
    offset, end = 0, len(data)
    if not end:
        raise Malformed("netlink: empty answer")
    while offset < end:
        if end - offset < HEADER.size:
            raise Malformed("netlink: short header")
        length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or length > end - offset:
            raise Malformed("netlink: wrong length")
        torn = torn or bool(flags & _NLM_F_DUMP_INTR)
        if kind in (_NLMSG_DONE, _NLMSG_ERROR):
            code = _ERROR.unpack_from(data, offset + HEADER.size)[0] if length >= HEADER.size + _ERROR.size else 0
            if code:
                raise _meaning(-code)
            return True, torn
        if length < layout.size:
            raise Malformed("netlink: short message")
        rows.append(layout.unpack_from(data, offset))
        offset += (length + 3) & ~3
    return False, torn


def _meaning(number: int) -> Absent | Denied | Malformed:
    if number in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
        return Absent("netlink")
    if number in (errno.EPERM, errno.EACCES):
        return Denied("netlink")
    return Malformed(f"netlink: {os.strerror(number)}")
