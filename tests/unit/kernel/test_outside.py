"""Which addresses a NAT translates to."""

import socket

import pytest

from auditor.kernel.outside import is_outside

INSIDE = (
    "0.0.0.0 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.168.1.1 224.0.0.1 "
    ":: ::1 fd00::1 fe80::1 ff02::1"
)
OUTSIDE = (
    "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0 192.167.0.1 203.0.113.10 223.1.1.1 "
    "2606:4700::1 3fff:ffff::1"
)


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@pytest.mark.parametrize("address", INSIDE.split())
def test_private_networks_are_not(address: str) -> None:
    assert not is_outside(packed(address))


@pytest.mark.parametrize("address", OUTSIDE.split())
def test_everything_else_is(address: str) -> None:
    assert is_outside(packed(address))


def test_no_address_is_nowhere() -> None:
    assert not is_outside(b"")
