"""net.ipv4.ip_local_port_range and its neighbours: which local ports the kernel chooses for a program.

Per network namespace; also of IPv6 and UDP (Documentation/networking/ip-sysctl.rst).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from auditor.kernel.errors import Absent, Malformed
from auditor.kernel.procfs import sysctl
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory

RANGE = "net/ipv4/ip_local_port_range"
_RESERVED = "net/ipv4/ip_local_reserved_ports"
_REUSE = "net/ipv4/tcp_tw_reuse"
_TIMESTAMPS = "net/ipv4/tcp_timestamps"
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class PortRange:
    """The ephemeral ports of one namespace.

    Attributes:
        low: first port of the range.
        high: last one.
        reserved: ports of it that are never chosen.
        reuse: tcp_tw_reuse: 0 no; 1 a connection in TIME_WAIT gives its port to a new one to the same peer; 2 over
            loopback only. Needs timestamps, so it is 0 where those are off.
        own: narrower ones, which single sockets have (IP_LOCAL_PORT_RANGE, ip(7)), as far as they are known.
    """

    low: int
    high: int
    reserved: frozenset[int] = frozenset()
    reuse: int = 0
    own: "tuple[PortRange, ...]" = ()

    @property
    def size(self) -> int:
        """Ports that may be chosen."""
        return self.high - self.low + 1 - len(self.reserved)

    def with_own(self, bounds: Iterable[tuple[int, int]]) -> "PortRange":
        """Return it with the ranges that sockets have, of which an end outside of it, or 0, does not hold."""
        narrower = {
            (low if self.low <= low <= self.high else self.low, high if self.low <= high <= self.high else self.high)
            for low, high in bounds
        }
        own = (
            PortRange(low, high, frozenset(port for port in self.reserved if low <= port <= high), self.reuse)
            for low, high in sorted(narrower - {(self.low, self.high)})
        )
        return replace(self, own=tuple(own))

    def __contains__(self, port: int) -> bool:
        return self.low <= port <= self.high and port not in self.reserved


def read(top: ProcDirectory) -> PortRange:
    """Read what holds in the calling thread's namespace."""
    low, high = parse_range(top.read(f"sys/{RANGE}"))
    reserved = parse_ports(top.read(f"sys/{_RESERVED}", in_one=True), low, high)
    return PortRange(low, high, reserved, _number(top, _REUSE) if _number(top, _TIMESTAMPS) else 0)


def parse_range(data: bytes) -> tuple[int, int]:
    """Parse `32768	60999`."""
    low, high = sysctl.parse_numbers(data, 2)
    if low > high or high > _LAST_PORT:
        raise Malformed("ip_local_port_range")
    return low, high


def parse_ports(data: bytes, low: int, high: int) -> frozenset[int]:
    """Parse `8080,9148-9200`; only what lies between both ports is kept."""
    found: set[int] = set()
    try:
        for part in data.strip().split(b","):
            if part:
                first, _, last = part.partition(b"-")
                begin, end = natural(first), natural(last or first)
                found.update(range(max(begin, low), min(end, high) + 1))
    except ValueError:
        raise Malformed("ip_local_reserved_ports") from None
    return frozenset(found)


def _number(top: ProcDirectory, name: str) -> int:
    try:
        return sysctl.read_number(top, name)
    except Absent:
        return 0
