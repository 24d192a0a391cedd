"""The rooms of a sweep one by one, where a live kernel cannot be made to show the case."""

import errno
import os
import subprocess
import sys
import threading
from array import array
from pathlib import Path

import pytest
from kernel import recorded

from auditor.kernel import diag, kcmp, netns
from auditor.kernel.errors import Absent, Denied, Gone, Malformed
from auditor.kernel.procfs import fdinfo, net_stat, port_range, sysctl
from auditor.kernel.procfs.fd import Listing
from auditor.kernel.procfs.port_range import PortRange
from auditor.kernel.procfs.sockstat import Sockstat
from auditor.kernel.root import ProcRoot
from auditor.model import UNLIMITED, Kind, Listener, NodeFacts, SocketGroup, TcpState
from auditor.sweep import bpf, descriptions, descriptors, dumps, inside, sockets, spared, sweep, users
from auditor.sweep import listeners as room_of_listeners
from auditor.sweep.bpf import unowned
from auditor.sweep.budget import Budget
from auditor.sweep.descriptors import MAXIMUM_DESCRIPTORS, Holdings
from auditor.sweep.dumped import Sockets, TcpDump
from auditor.sweep.dumps import Dumps
from auditor.sweep.inside import Dump, Seen
from auditor.sweep.losses import Losses
from auditor.sweep.memory import Memory, Spare
from auditor.sweep.processes import Row, take


def row(pid: int, **fields: object) -> Row:
    one = Row(pid, 100 + pid, "x", 1, table_pid=pid, task_id=pid)
    for name, value in fields.items():
        setattr(one, name, value)
    return one


def no_sockets() -> tuple["array[int]", "array[int]"]:
    return array("Q"), array("Q")


def tcp(*rows: tuple[int, int, int]) -> TcpDump:
    return TcpDump(Sockets.of(rows), {})


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_shared_table_passes_to_the_next_user_when_its_keeper_ends() -> None:
    own = next(one for one in take(ProcRoot(), Losses()) if one.pid == os.getpid())
    dead = row(dead_pid(), fds=own.fds)
    own.table_pid, own.fds = dead.pid, None
    rows, losses = [dead, own], Losses()
    descriptors.classify(ProcRoot(), rows, losses, Budget(None), Memory())
    assert rows == [own]
    assert own.owns_table
    assert own.fds is not None
    assert sum((own.kinds or {}).values()) == own.fds
    assert losses.vanished == 1


def test_a_reused_pid_is_another_process() -> None:
    own = next(one for one in take(ProcRoot(), Losses()) if one.pid == os.getpid())
    own.start -= 1
    rows, losses = [own], Losses()
    holdings = descriptors.classify(ProcRoot(), rows, losses, Budget(None), Memory())
    assert (rows, losses.vanished, holdings.size) == ([], 1, 0)


def test_the_budget_goes_to_those_nearest_to_their_limit(tmp_path: Path) -> None:
    for pid, soft, many in ((10, 1000, 40), (11, 12, 10), (12, "unlimited", 60), (13, 100, 50)):
        recorded.process(tmp_path, pid, soft=soft, fds=dict.fromkeys(range(many), "/etc/passwd"))
    rows = take(ProcRoot(str(tmp_path)), Losses())
    order: list[int] = []

    class Two(Budget):
        def allows(self, seconds: float, *, share: float = 1.0) -> bool:  # noqa: ARG002
            return len(order) < 2

    def noted(root: ProcRoot, one: Row) -> Listing:  # noqa: ARG001
        order.append(one.pid)
        return Listing(
            {Kind.FILE: one.fds or 0}, no_sockets(), [("/etc/passwd", number) for number in range(one.fds or 0)]
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descriptors, "_listing", noted)
        holdings = descriptors.classify(ProcRoot(str(tmp_path)), rows, Losses(), Two(None), Memory())
    assert order == [11, 13]
    assert (holdings.unclassified, holdings.whole) == (2, False)
    (gap,) = holdings.gaps()
    assert (gap.id, gap.count) == ("fd-kinds", 2)


def test_a_node_of_millions_is_counted_in_bounded_memory() -> None:
    holdings = Holdings()
    half = [(f"/file/{number}", number) for number in range(MAXIMUM_DESCRIPTORS // 2)]
    for pid in (1, 2, 3):
        listing = Listing(
            {Kind.FILE: len(half), Kind.INOTIFY: 1}, no_sockets(), [*half, ("anon_inode:inotify", 999_999)]
        )
        holdings.add(pid, listing)
    assert holdings.size == 3 * (len(half) + 1)
    assert set(holdings.others) == {"anon_inode:inotify"}
    assert len(holdings.others["anon_inode:inotify"]) == 3


def held(*tables: tuple[int, list[tuple[str, int]], list[tuple[int, int]]]) -> Holdings:
    holdings = Holdings()
    for pid, others, socket_fds in tables:
        inodes, numbers = array("Q", [inode for inode, _ in socket_fds]), array("Q", [fd for _, fd in socket_fds])
        holdings.add(pid, Listing({}, (inodes, numbers), others))
    return holdings


def test_each_socket_stands_in_one_group_with_all_its_holders() -> None:
    holdings = held((5, [], [(100, 3), (101, 4), (100, 9)]), (6, [], [(100, 3)]), (7, [], [(100, 1)]))
    assert holdings.holders_of == {100: (5, 6, 7), 101: (5,)}
    inside = Dump(
        tcp=tcp((10, 100, 0), (1, 0, 5), (6, 0, 0), (5, 0, 0), (3, 0, 0), (1, 555, 7), (99, 101, 0)),
        udp=Sockets.of([(7, 777, 9)]),
    )
    groups = sockets.groups(
        ProcRoot("/nowhere"),
        [row(5), row(6), row(7)],
        holdings,
        Dumps({1: None}, {1: inside}, (), 0.0),
        Budget(None),
    )
    assert set(groups) == {
        SocketGroup(1, "tcp", TcpState.LISTEN, (5, 6, 7), 1),
        SocketGroup(1, "tcp", TcpState.ESTABLISHED, (), 2, 12),
        SocketGroup(1, "tcp", TcpState.TIME_WAIT, (), 1),
        SocketGroup(1, "tcp", TcpState.FIN_WAIT2, (), 1),
        SocketGroup(1, "tcp", TcpState.SYN_RECV, (), 1),
        SocketGroup(1, "tcp", TcpState.CLOSE, (5,), 1),
        SocketGroup(1, "udp", None, (), 1, 9),
    }


def test_mini_sockets_that_are_not_told_apart_are_counted_and_not_listed_one_by_one() -> None:
    memory = bpf.Memory()
    memory.keep_namespaces({9: 1}, {9: TcpDump(Sockets(), {}, seconds=1.0, at=0.0)})  # so much a dump takes
    seen, counter = Seen(3, 0, 1 << 18), Sockstat(tcp=3, udp=0, udplite=0, time_wait=1 << 18)
    (dump,) = spared.assumed({1: seen}, {1: counter}, (), Spare(memory, 0.5), {}).values()
    assert len(dump.sockets) == 0
    inside = Dumps({1: counter}, {1: Dump(tcp=dump, udp=Sockets())}, (), 0.0)
    assert list(unowned.take((), inside, set(), memory)) == [SocketGroup(1, "tcp", TcpState.TIME_WAIT, (), 1 << 18)]


def test_a_socket_that_nobody_names_is_told() -> None:
    holdings = held((5, [], [(100, 3)]))
    groups = sockets.groups(ProcRoot(), [row(5)], holdings, Dumps({}, {}, (), 0.0), Budget(0))
    assert groups == (SocketGroup(None, sockets.UNKNOWN_PROTOCOL, None, (5,), 1),)
    (gap,) = sockets.gaps(groups)
    assert (gap.id, gap.count) == ("socket-protocols", 1)


def heard(*listeners: diag.Listener, connections: dict[tuple[int, bytes], int] | None = None) -> list[Listener]:
    inside = {1: Dump(tcp=TcpDump(Sockets(), connections or {}), udp=Sockets(), listeners=list(listeners))}
    holdings = held((5, [], [(100, 3)]), (6, [], [(100, 3), (101, 4)]))
    found = room_of_listeners.take(
        ProcRoot("/nowhere"), [row(5), row(6)], holdings, Dumps({1: None}, inside, (), 0.0), Budget(0)
    )
    assert found is not None
    return list(found)


FOUR, SIX, HOME = bytes(4), bytes(16), bytes([127, 0, 0, 1])


def test_sockets_that_share_an_address_are_one_listener_and_the_fullest_speaks() -> None:
    alike = [
        diag.Listener(FOUR, 80, 3, 10, 100, 2),
        diag.Listener(FOUR, 80, 9, 100, 101, 1),
        diag.Listener(HOME, 81, 0, 5, 0, None),
    ]
    assert heard(*alike) == [
        Listener(1, "tcp", "0.0.0.0", 80, (5, 6), 3, 10, 0, 3),
        Listener(1, "tcp", "127.0.0.1", 81, (), 0, 5, 0, None),
    ]


def test_a_connection_belongs_to_the_most_specific_listener() -> None:
    local = {(80, HOME): 5, (80, bytes([10, 0, 0, 1])): 7, (80, bytes(15) + b"\1"): 11, (81, HOME): 13}
    both = heard(diag.Listener(SIX, 80, 0, 9, 0, 0), diag.Listener(HOME, 80, 0, 9, 0, 0), connections=local)
    assert {one.address: one.connections for one in both} == {"::": 18, "127.0.0.1": 5}
    apart = heard(diag.Listener(SIX, 80, 0, 9, 0, 0), diag.Listener(FOUR, 80, 0, 9, 0, 0), connections=local)
    assert {one.address: one.connections for one in apart} == {"::": 11, "0.0.0.0": 12}


def test_a_namespace_with_nothing_but_listeners_spares_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk() -> list[diag.InetRow]:
        walks.append(1)
        return []

    walks: list[int] = []
    monkeypatch.setattr(diag, "dump_tcp", walk)
    monkeypatch.setattr(diag, "dump_listeners", lambda: [diag.Listener(FOUR, 80, 4, 9, 100, 0)])
    for counter, expected in (
        (Sockstat(1, 0, 0, 0), 0),
        (Sockstat(1, 0, 0, 1), 1),
        (Sockstat(2, 0, 0, 0), 2),
        (None, 3),
    ):
        dump = inside.look(ProcRoot(), 1, counter, Losses(), memory=Memory(), with_unix=False, with_pools=False)
        assert len(walks) == expected
        assert dump.tcp is not None
        assert list(dump.tcp.sockets) == ([] if expected else [(10, 100, 0)])


def test_without_the_sysctls_connections_are_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a network namespace of another user namespace, on some kernels."""

    def hidden(_: object, name: str) -> int:
        raise Absent(name)

    monkeypatch.setattr(sysctl, "read_number", hidden)
    monkeypatch.setattr(net_stat, "read_entries", lambda *_: 42)
    with ProcRoot().top() as top:
        assert inside._conntrack(ProcRoot(), top, Losses()) == (42, None)
    found = {1: Dump(conntrack=(7, 100)), 2: Dump(conntrack=(42, None)), 3: Dump()}
    rooms = list(Dumps(dict.fromkeys(found), found, (), 0.0).netns())
    assert [(one.conntrack, one.conntrack_max) for one in rooms] == [(7, 100), (42, 100), (None, None)]
    found[1] = Dump(conntrack=(7, UNLIMITED))
    rooms = list(Dumps(dict.fromkeys(found), found, (), 0.0).netns())
    assert [one.conntrack_max for one in rooms] == [UNLIMITED, UNLIMITED, None]


def test_a_long_file_of_watches_is_counted_in_pieces_while_the_budget_lasts(tmp_path: Path) -> None:
    line = "inotify wd:1 ino:2b sdev:800001 mask:8 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:a1\n"
    folder = recorded.process(tmp_path, 5, fds={3: "anon_inode:inotify", 4: "anon_inode:inotify"})
    (folder / "fdinfo" / "3").write_text("pos:\t0\n" + line * 5000)
    with ProcRoot(str(tmp_path)).process(5) as process:
        assert fdinfo.count_lines(process, 3, fdinfo.INOTIFY_WATCH) == 5000
        assert fdinfo.count_lines(process, 3, fdinfo.INOTIFY_WATCH, keep_on=lambda: False) is None
        assert fdinfo.count_lines(process, 4, fdinfo.INOTIFY_WATCH, keep_on=lambda: False) == 3

    class Ends(Budget):
        asked = 0

        def allows(self, seconds: float, *, share: float = 1.0) -> bool:  # noqa: ARG002
            self.asked += 1
            return self.asked <= 2

    rows = [row(5, uid=7, kinds={})]
    holdings = held((5, [("anon_inode:inotify", 3)], []))
    only = descriptions.Comparer(holdings, {5: 5}, usable=False)
    taken = users.take(ProcRoot(str(tmp_path)), rows, only, NodeFacts(), Losses(), Ends(None))
    assert [one.used for one in taken.found if one.pool == "inotify-watches"] == [None]
    assert [(gap.id, gap.count) for gap in taken.gaps] == [("inotify-watches", 1)]


def test_when_a_table_was_missed_a_socket_without_holder_may_have_one() -> None:
    holdings = held()
    holdings.whole = False
    inside = Dump(tcp=tcp((1, 555, 0), (1, 0, 0)), udp=Sockets())
    groups = sockets.groups(ProcRoot("/nowhere"), [], holdings, Dumps({1: None}, {1: inside}, (), 0.0), Budget(None))
    assert {group.holders for group in groups} == {None, ()}


def comparer(holdings: Holdings, same: dict[tuple[int, int], int], patch: pytest.MonkeyPatch) -> descriptions.Comparer:
    """Compares by a table of (pid, descriptor) to description; what is not in it is refused."""

    def compare(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
        try:
            left, right = same[one[:2]], same[other[:2]]
        except KeyError:
            raise Denied("kcmp") from None
        return (left > right) - (left < right)

    patch.setattr(kcmp, "compare_files", compare)
    return descriptions.Comparer(holdings, {pid: pid for pid in range(20)}, usable=True)


def test_descriptions_are_counted_once_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    holdings = held(
        (5, [("/a", 3), ("/a", 4), ("/b", 5), ("pipe:[1]", 6)], [(100, 7)]),
        (6, [("/a", 3), ("/a", 9)], [(100, 7), (101, 8)]),
    )
    same = {(5, 3): 1, (5, 4): 1, (6, 3): 1, (6, 9): 2}
    rows = [row(5, kinds={}), row(6, kinds={}), row(7, kernel_thread=True), row(8, kinds=None)]
    shared, unknown = descriptions.count(rows, comparer(holdings, same, monkeypatch))
    assert [(group.holders, group.count) for group in shared] == [((5, 6), 2)]
    assert [one.private_descriptions for one in rows] == [2, 2, None, None]
    assert unknown == 1


def test_a_row_that_may_not_be_compared_is_unknown_and_the_rest_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    holdings = held((5, [("/a", 3)], []), (6, [("/a", 3)], []), (7, [("/a", 3)], []))
    rows = [row(5, kinds={}), row(6, kinds={}), row(7, kinds={})]
    shared, unknown = descriptions.count(rows, comparer(holdings, {(5, 3): 1, (6, 3): 1}, monkeypatch))
    assert [(group.holders, group.count) for group in shared] == [((5, 6), 1)]
    assert ([one.private_descriptions for one in rows], unknown) == ([0, 0, None], 1)


def test_an_instance_is_charged_to_its_oldest_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    link = "anon_inode:inotify"
    holdings = held((5, [(link, 3)], []), (6, [(link, 3), (link, 4)], []))
    rows = [row(5, uid=1000, start=7), row(6, uid=0, start=9)]
    same = {(5, 3): 1, (6, 3): 1, (6, 4): 2}
    by_pid = {one.pid: one for one in rows}
    (root, user) = users.instances(by_pid, comparer(holdings, same, monkeypatch), 128)
    assert [(root.uid, root.used), (user.uid, user.used)] == [(0, 1), (1000, 1)]
    assert user.holders[0].holders == (5, 6)
    unusable = descriptions.Comparer(holdings, {5: 5, 6: 6}, usable=False)
    assert {one.uid: one.used for one in users.instances(by_pid, unusable, 128)} == {0: 2, 1000: 1}, "an upper bound"


def test_no_thread_to_spare_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(netns, "own_inode", lambda: 1)  # so that every namespace is another's
    sample = sweep(ProcRoot())
    assert not any(one.dumped for one in sample.netns)
    (gap,) = (gap for gap in sample.gaps if gap.id == "netns-sockets")
    assert "can't start new thread" in gap.detail


@pytest.mark.parametrize("error", [Absent, Denied, Malformed])
def test_a_kernel_that_lists_no_tcp_is_a_gap_and_never_an_empty_namespace(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail() -> list[tuple[int, int]]:
        raise error("sock_diag")

    monkeypatch.setattr(diag, "dump_tcp", fail)
    dump = inside.look(ProcRoot(), 1, None, losses := Losses(), memory=Memory(), with_unix=False, with_pools=False)
    assert (dump.tcp, dump.whole) == (None, False)
    assert len(list(losses.gaps())) == 1


@pytest.mark.parametrize("error", [Absent, Denied, Malformed])
def test_unix_listeners_that_are_not_listed_are_a_gap(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail() -> list[diag.UnixListener]:
        raise error("unix_diag")

    monkeypatch.setattr(diag, "dump_unix_listeners", fail)
    inside.look(ProcRoot(), 1, None, losses := Losses(), memory=Memory(), with_unix=False, with_pools=False)
    (gap,) = losses.gaps()
    assert "unix_diag" in gap.detail


@pytest.mark.parametrize("ports", ["32768 60999", "1024 1033"])
def test_what_could_not_be_dumped_blinds_only_the_limits_that_it_bears_on(
    monkeypatch: pytest.MonkeyPatch, ports: str
) -> None:
    def fail(**_: object) -> list[diag.InetRow]:
        raise Malformed("the dump was interrupted")

    monkeypatch.setattr(diag, "dump_tcp", fail)
    monkeypatch.setattr(diag, "dump_udp", fail)
    monkeypatch.setattr(diag, "dump_listeners", list)
    low, high = map(int, ports.split())
    monkeypatch.setattr(port_range, "read", lambda _: PortRange(low, high))
    counter = Sockstat(9, 9, 0, 0)
    dump = inside.look(ProcRoot(), 1, counter, losses := Losses(), memory=Memory(), with_unix=False, with_pools=False)
    assert (dump.tcp, dump.udp) == (None, None)
    (gap,) = losses.gaps()
    assert gap.limits == ({"ephemeral-ports"} if ports.startswith("1024") else set())
    assert bool(dump.ports) == (not gap.limits)


def test_a_namespace_that_everyone_left_is_gone() -> None:
    visits, _ = netns.visit([(1, ["/proc/self/ns/net", "/nowhere"])], lambda inode: inode, own=None)
    assert isinstance(visits[0].error, Gone), "the path leads to another namespace by now"


def test_a_namespace_whose_door_cannot_be_opened_for_want_of_descriptors_is_not_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spent(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(netns, "_open", spent)
    visits, _ = netns.visit([(1, ["/proc/self/ns/net"])], lambda inode: inode, own=None)
    assert isinstance(visits[0].error, Malformed)


def test_a_namespace_that_may_not_be_entered_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise Denied("setns")

    monkeypatch.setattr(netns, "_setns", refuse)
    here = os.stat("/proc/self/ns/net").st_ino
    visits, _ = netns.visit([(here, ["/proc/self/ns/net"])], lambda inode: inode, own=None)
    assert isinstance(visits[0].error, Denied)
    (gap,) = dumps._gaps(visits, ())  # type: ignore[arg-type]
    assert "CAP_SYS_ADMIN" in gap.detail
    assert gap.limits == {"time-wait", "conntrack", "listen-backlog", "ephemeral-ports"}
