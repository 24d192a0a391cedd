"""Where the ephemeral ports of a namespace went, from the rows of a dump."""

import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.kernel import diag
from auditor.kernel.errors import Malformed
from auditor.kernel.procfs import port_range
from auditor.kernel.procfs.port_range import PortRange
from auditor.sweep import ports

RANGE = PortRange(1000, 1099)
ESTABLISHED, TIME_WAIT, LISTEN = 1, 6, 10


def row(
    local: int, remote: tuple[str, int], state: int = ESTABLISHED, left: int = 0, source: str = "10.0.0.1"
) -> diag.InetRow:
    address = socket.inet_aton(source) + bytes(12)
    peer = socket.inet_aton(remote[0]) + bytes(12)
    return 2, state, local.to_bytes(2, "big"), remote[1].to_bytes(2, "big"), address, peer, local, left, 0, 0, 5


DATABASE, CACHE = ("10.9.9.9", 5432), ("10.8.8.8", 6379)


def test_a_destination_takes_the_ports_of_its_connections_and_a_listener_that_of_all() -> None:
    rows = [row(1000 + number, DATABASE) for number in range(30)]
    rows += [row(1000 + number, CACHE) for number in range(20)]
    rows += [row(1090, ("0.0.0.0", 0), LISTEN), row(1090, ("10.7.7.7", 999)), row(22, ("10.7.7.7", 998))]
    first, second = ports.of_tcp(7, rows, RANGE)
    assert (first.used, first.available, first.address, first.port, first.source) == (31, 100, *DATABASE, "10.0.0.1")
    assert (second.used, second.address) == (21, CACHE[0]), "what came in through the listener takes none"


def test_destinations_that_never_share_a_port_were_bound_first() -> None:
    rows = [row(1000 + number, DATABASE if number % 2 else CACHE) for number in range(80)]
    first = ports.of_tcp(7, rows, RANGE)[0]
    assert (first.used, first.source, first.address) == (80, "10.0.0.1", None)


@pytest.mark.parametrize(("reuse", "left", "used"), [(0, 30_000, 30), (1, 30_000, 0), (1, 59_500, 30), (2, 30_000, 30)])
def test_what_waits_counts_unless_the_kernel_reuses_it(reuse: int, left: int, used: int) -> None:
    rows = [row(1000 + number, DATABASE, TIME_WAIT, left) for number in range(30)]
    (use,) = ports.of_tcp(7, rows, PortRange(1000, 1099, reuse=reuse))
    assert (use.used, use.time_wait) == (used, used)


def test_only_the_worst_destinations_are_named() -> None:
    rows = [row(1000 + number % 100, (f"10.1.{number % 50}.1", 80)) for number in range(2000)]
    assert len(ports.of_tcp(7, rows, RANGE)) == 5


def test_reserved_ports_are_no_part_of_the_range() -> None:
    assert port_range.parse_ports(b"8080,1000-1009,1095-2000\n", 1000, 1099) == {*range(1000, 1010), *range(1095, 1100)}
    assert port_range.parse_ports(b"\n", 1000, 1099) == frozenset()
    assert PortRange(1000, 1099, frozenset({1000, 1001})).size == 98


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((1010, 1019), (1010, 1019, 8)),
        ((0, 1019), (1000, 1019, 18)),
        ((1090, 0), (1090, 1099, 10)),
        ((900, 1019), (1000, 1019, 18)),  # an end outside of the namespace's does not hold
        ((1090, 2000), (1090, 1099, 10)),
    ],
)
def test_a_range_of_sockets_lies_within_the_namespaces(asked: tuple[int, int], expected: tuple[int, int, int]) -> None:
    (own,) = PortRange(1000, 1099, frozenset({1011, 1012, 1050})).with_own([asked]).own
    assert (own.low, own.high, own.size) == expected
    assert PortRange(1000, 1099).with_own([(0, 0), (5, 6)]).own == ()


def test_a_range_of_sockets_is_looked_at_sooner_and_beside_the_namespaces() -> None:
    both = PortRange(1000, 10_999).with_own([(1000, 1099)])
    assert ports.reach(25, both)
    assert not ports.reach_udp(25, both)
    rows = [row(1000 + number, DATABASE) for number in range(150)]
    whole, narrow = ports.of_tcp(7, rows, both)
    assert (whole.used, whole.available, whole.own_range) == (150, 10_000, None)
    assert (narrow.used, narrow.available, narrow.own_range) == (100, 100, (1000, 1099))


@pytest.mark.parametrize("text", [b"", b"1", b"9 1", b"1 70000", b"a b", b"-1 5"])
def test_a_range_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        port_range.parse_range(text)


@given(text=st.binary(max_size=60))
def test_any_bytes_are_ports_or_refused(text: bytes) -> None:
    with suppress(Malformed):
        assert all(1000 <= port <= 1099 for port in port_range.parse_ports(text, 1000, 1099))


numbers = st.integers(990, 1110)


@given(
    st.lists(st.tuples(numbers, st.sampled_from([DATABASE, CACHE]), st.sampled_from([1, 6, 8, 10, 7])), max_size=200)
)
def test_no_use_exceeds_the_range(rows: list[tuple[int, tuple[str, int], int]]) -> None:
    for use in ports.of_tcp(7, [row(*one) for one in rows], RANGE):
        assert 0 <= use.time_wait <= use.used <= use.available
