"""nfnetlink: tracked connections of the calling thread's network namespace, or as many as are asked for.

The kernel walks its hash table, whose order is random (a keyed hash of the addresses): the first thousands are a fair
sample of all. Needs CAP_NET_ADMIN. Layout: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from auditor.kernel import netlink

_NETLINK_NETFILTER = 12
_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_ORIGINAL, _REPLY, _PROTOCOL_INFO = 1, 2, 4
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)
"""Of TCP (include/uapi/linux/netfilter/nf_conntrack_tcp.h)."""


class Flow(NamedTuple):
    """A tracked connection.

    Attributes:
        source: who began it, 4 or 16 bytes.
        destination: whom it was meant for, before any translation.
        port: of the destination; 0 where the protocol has none.
        answering: who answers, after translation: the pod behind a service.
        protocol: IPPROTO_*.
        state: index of `STATES`; `None` of other protocols than TCP.
    """

    source: bytes
    destination: bytes
    port: int
    answering: bytes
    protocol: int
    state: int | None


def dump(most: int) -> list[Flow]:
    """Dump tracked connections of both families, `most` at most.

    Raises:
        Absent: nothing is tracked here. Denied: without CAP_NET_ADMIN. Malformed: any other failure.
    """
    body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
    rows = netlink.dump(_NETLINK_NETFILTER, _GET, body, _Message(), most)
    return [Flow._make(row) for row in rows]


class _Message:
    """One connection: nfgenmsg and attributes."""

    size = netlink.HEADER.size + 4

    def unpack_from(self, buffer: memoryview | bytes, offset: int = 0, /) -> netlink.Row:
        end = offset + int(netlink.HEADER.unpack_from(buffer, offset)[0])
        source, destination, protocol, port, answering, state = b"", b"", 0, 0, b"", None
        for kind, begin, stop in _attributes(buffer, offset + self.size, end):
            if kind == _ORIGINAL:
                source, destination, protocol, port = _tuple(buffer, begin, stop)
            elif kind == _REPLY:
                answering = _tuple(buffer, begin, stop)[0]
            elif kind == _PROTOCOL_INFO:
                state = _tcp_state(buffer, begin, stop)
        return source, destination, port, answering, protocol, state


def _tuple(buffer: memoryview | bytes, begin: int, end: int) -> tuple[bytes, bytes, int, int]:
    """Return both addresses, the protocol and the port of the destination."""
    source, destination, protocol, port = b"", b"", 0, 0
    for kind, inner, stop in _attributes(buffer, begin, end):
        for part, start, last in _attributes(buffer, inner, stop):
            value = bytes(buffer[start:last])
            if kind == _TUPLE_IP:  # CTA_IP_V4_SRC, V4_DST, V6_SRC, V6_DST
                source, destination = (value, destination) if part % 2 else (source, value)
            elif kind == _TUPLE_PROTOCOL and part == 1:
                protocol = value[0] if value else 0
            elif kind == _TUPLE_PROTOCOL and part == 3:  # noqa: PLR2004 - CTA_PROTO_DST_PORT
                port = int.from_bytes(value, "big")
    return source, destination, protocol, port


def _tcp_state(buffer: memoryview | bytes, begin: int, end: int) -> int | None:
    for kind, inner, stop in _attributes(buffer, begin, end):
        if kind == 1:  # CTA_PROTOINFO_TCP
            for part, start, last in _attributes(buffer, inner, stop):
                if part == 1 and last > start:  # CTA_PROTOINFO_TCP_STATE
                    return int(buffer[start])
    return None


def _attributes(buffer: memoryview | bytes, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Walk attributes: kind, begin and end of the value. One that is cut ends the walk."""
    while offset + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(buffer, offset)
        if length < _ATTRIBUTE.size or offset + length > end:
            return
        yield kind & _NESTED, offset + _ATTRIBUTE.size, offset + length
        offset += (length + 3) & ~3
