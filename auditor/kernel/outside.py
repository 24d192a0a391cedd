"""Which addresses lie outside of every private network: what is sent there passes a NAT, if one is in front of the node."""

from ipaddress import IPv4Network
from typing import Final

PRIVATE_IPV4: Final = tuple(
    (int(network.network_address), int(network.netmask))
    for network in map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",  # RFC 1918, as are 172.16.0.0/12 and 192.168.0.0/16
            "100.64.0.0/10",  # RFC 6598, which some clouds give to pods
            "127.0.0.0/8",
            "169.254.0.0/16",  # metadata services
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
        ),
    )
)
"""(address, mask) of networks that no NAT translates to."""

_GLOBAL_UNICAST = (0x20, 0xE0)  # 2000::/3, RFC 4291: the first byte and its mask


def is_outside(address: bytes) -> bool:
    """Tell of an address in network order, of 4 bytes or 16. The BPF programs have the same from `in_c`."""
    if len(address) == 4:  # noqa: PLR2004 - bytes of IPv4
        number = int.from_bytes(address, "big")
        return all(number & mask != network for network, mask in PRIVATE_IPV4)
    return len(address) > 4 and address[0] & _GLOBAL_UNICAST[1] == _GLOBAL_UNICAST[0]  # noqa: PLR2004


def in_c() -> str:
    """Return macros over an IPv4 address in host order, and over the first byte of an IPv6 one."""
    private = " || ".join(f"((address) & {mask:#x}) == {network:#x}" for network, mask in PRIVATE_IPV4)
    value, mask = _GLOBAL_UNICAST
    return f"#define IPV4_IS_OUTSIDE(address) (!({private}))\n#define IPV6_IS_OUTSIDE(first) (((first) & {mask}) == {value})"
