"""One subject in depth on the screen and in JSON: what is unknown, what drops, whose namespace."""

import io

from rich.console import Console

from auditor.model import Depth, End, Gap, Holder, Named, OpenSocket, Owner, OwnerKind, Process, TcpState
from auditor.publish.depth import render
from auditor.publish.depth_document import document

HOST, OTHER = 4026531840, 4026539999
LISTENS, OPEN, HALF = TcpState.LISTEN, TcpState.ESTABLISHED, TcpState.CLOSE_WAIT
LOCAL, PEER = End("127.0.0.1", 7004), End("127.0.0.1", 50_000)
UNIT = Owner(OwnerKind.UNIT, "web.service")


def one(
    state: TcpState | None, *, netns: int = HOST, protocol: str = "tcp", peer: End | None = None, **more: object
) -> OpenSocket:
    return OpenSocket(netns, protocol, state, LOCAL, peer, 3, 5, **more)  # type: ignore[arg-type]


def depth(*sockets: OpenSocket, far: tuple[OpenSocket, ...] = (), pids: frozenset[int] = frozenset()) -> Depth:
    ends = {(PEER, LOCAL): far} if far else {}
    return Depth(sockets, ends, {7: Process(7, 1, "nginx", fds=12)}, HOST, (Gap("denied-fds", "some"),), pids)


NAMED = Named(
    {7: UNIT}, {OTHER: Owner(OwnerKind.POD, "u1")}, {UNIT: "web.service", Owner(OwnerKind.POD, "u1"): "shop/cart"}
)


def screen(found: Depth) -> list[str]:
    out = io.StringIO()
    render("port 7004", found, NAMED, Console(file=out, width=160))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_a_descriptor_that_could_not_be_looked_at_is_unknown_not_none() -> None:
    found = depth(one(LISTENS, holders=None), one(OPEN, peer=PEER, holders=None), one(HALF, peer=PEER, holders=()))
    lines = screen(found)
    assert "127.0.0.1:7004 3 5 - 1 ? ?" in lines
    assert "ESTABLISHED 1 3 B 5 B ?" in lines
    assert "CLOSE_WAIT 1 3 B 5 B 1" in lines
    assert "not seen: some" in lines
    (listener,) = document("", found, NAMED)["listeners"]
    assert (listener["descriptors"], listener["owner"]) == (None, "?")


def test_what_udp_sockets_drop_is_shown() -> None:
    held = (Holder(7, 4),)
    found = depth(one(None, protocol="udp", drops=90_514, holders=held), one(None, protocol="udp", peer=PEER, drops=6))
    lines = screen(found)
    assert lines[0] == "port 7004 · 0 listeners · 1 UDP receiver · 1 socket"
    assert "udp 127.0.0.1:7004 3 B - 90,514 - fd 4 of 7 nginx web.service" in lines
    assert "udp 127.0.0.1:7004 127.0.0.1:50000 UDP 3 5 6 none host" in lines
    assert [row["drops"] for part in ("listeners", "sockets") for row in document("", found, NAMED)[part]] == [
        90_514,
        6,
    ]


def test_the_same_addresses_in_several_namespaces_are_told_apart() -> None:
    far = OpenSocket(OTHER, "tcp", OPEN, PEER, LOCAL, 0, 0)
    found = depth(
        one(LISTENS), one(LISTENS, netns=OTHER), one(OPEN, peer=PEER), one(OPEN, netns=OTHER, peer=PEER), far=(far,)
    )
    lines = screen(found)
    assert "LISTENER NETNS QUEUE BACKLOG DROPS CONNECTIONS DESCRIPTOR OWNER" in lines
    assert "127.0.0.1:7004 host 3 5 - 1 none host" in lines
    assert f"127.0.0.1:7004 {OTHER} 3 5 - 1 none shop/cart" in lines
    assert "127.0.0.1 host 1 1 ESTABLISHED" in lines, "a loopback address leads into no other namespace"
    assert f"127.0.0.1 {OTHER} 1 1 ESTABLISHED shop/cart" in lines
    assert {row["netns"] for row in document("", found, NAMED)["sockets"]} == {HOST, OTHER}


def test_one_address_is_one_listener_and_only_what_is_established_is_connected() -> None:
    lines = screen(depth(one(LISTENS), one(LISTENS), one(HALF, peer=PEER)))
    assert lines[0] == "port 7004 · 1 listener · 1 socket"
    assert "127.0.0.1:7004 3 5 - 0 none host" in lines


def test_a_pod_without_sockets_shows_its_processes() -> None:
    assert "7 nginx (web.service): 12 descriptors of no limit" in screen(depth(pids=frozenset({7})))
