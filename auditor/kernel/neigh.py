"""rtnetlink(7): neighbour entries (ARP and NDISC) of the calling thread's network namespace. Needs no capability.

Layout: include/uapi/linux/neighbour.h.
"""

import struct
from dataclasses import dataclass

from auditor.kernel import netlink

_NETLINK_ROUTE = 0
_RTM_GETNEIGH = 30
_NUD_PERMANENT = 0x80
_NTF_EXT_LEARNED = 0x10
_MESSAGE = struct.Struct("=16x 8x H B x")
"""ndmsg: state, flags."""


@dataclass(frozen=True, slots=True)
class Entries:
    """How many entries a namespace has.

    Attributes:
        bound: those that gc_thresh3 binds.
        exempt: permanent ones and those learnt by a daemon (flannel, Cilium), which since Linux 5.0 it does not.
    """

    bound: int
    exempt: int


def dump(family: int) -> Entries:
    """Count the entries of an address family.

    Raises:
        Absent, Denied, Malformed: as `netlink.dump`.
    """
    rows = netlink.dump(_NETLINK_ROUTE, _RTM_GETNEIGH, struct.pack("=B3xiHBB", family, 0, 0, 0, 0), _MESSAGE)
    exempt = sum(bool(state & _NUD_PERMANENT or flags & _NTF_EXT_LEARNED) for state, flags in rows)
    return Entries(len(rows) - exempt, exempt)
