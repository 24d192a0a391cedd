"""Every parser against what kernels write, what hostile processes make them write, and what no kernel writes."""

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel import recorded

from auditor.kernel import conntrack, diag, netlink, protocol
from auditor.kernel.errors import Absent, Denied, KernelError, Malformed
from auditor.kernel.procfs import (
    cgroup,
    cgroupfs,
    fd,
    file_nr,
    key_users,
    limits,
    loadavg,
    maps,
    mountinfo,
    net_stat,
    netstat,
    ns,
    port_range,
    sockstat,
    stat,
    status,
    sysctl,
)
from auditor.model import UNLIMITED, Kind
from auditor.sweep import flows

STAT_TAIL = b" S 1 10 10 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 7 0 8154 4096 100 18446744073709551615 1 1"


@pytest.mark.parametrize(
    ("comm", "command"),
    [
        (b"java", "java"),
        (b"a) S 1 (b", "a) S 1 (b"),
        (b"tmux: server", "tmux: server"),
        (b") R 9 9 9", ") R 9 9 9"),
        (b"", ""),
        (b"evil\nname\x1b[31m", "evil name?[31m"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"kworker/u16:3-events_unbound", "kworker/u16:3-events_unbound"),
        ("\u202egnp.exe".encode(), "?gnp.exe"),
    ],
)
def test_a_command_is_what_stands_between_the_outer_parentheses_cleaned(comm: bytes, command: str) -> None:
    parsed = stat.parse(b"10 (" + comm + b")" + STAT_TAIL)
    assert parsed == stat.Stat(command=command, state="S", flags=4194560, threads=7, start=8154)


def test_a_command_is_bounded() -> None:
    assert len(stat.parse(b"10 (" + b"x" * 5000 + b")" + STAT_TAIL).command.encode()) <= stat.MAXIMUM_COMMAND_BYTES


@pytest.mark.parametrize(
    ("state", "flags", "kernel_thread", "zombie", "ending"),
    [
        ("S", 0x400000, False, False, False),
        ("I", 0x208040, True, False, False),
        ("Z", 0x40000C, False, True, True),
        ("X", 0x40000C, False, True, True),
        ("R", 0x400004, False, False, True),
    ],
)
def test_flags_and_state_tell_what_a_process_is(
    state: str, flags: int, *, kernel_thread: bool, zombie: bool, ending: bool
) -> None:
    parsed = stat.Stat("x", state, flags, 1, 1)
    assert (parsed.kernel_thread, parsed.zombie, parsed.ending) == (kernel_thread, zombie, ending)


@pytest.mark.parametrize(
    ("four", "six", "expected"),
    [
        (recorded.SOCKSTAT, recorded.SOCKSTAT6, sockstat.Sockstat(10, 5, 0, 12, orphans=0, tcp_pages=4, udp_pages=2)),
        (recorded.SOCKSTAT, "", sockstat.Sockstat(7, 4, 0, 12, orphans=0, tcp_pages=4, udp_pages=2)),
        ("TCP: inuse 1 orphan 0 tw 0\nUDP: inuse 0\n", "UDPLITE6: inuse 2\n", sockstat.Sockstat(1, 0, 2, 0, orphans=0)),
    ],
)
def test_sockstat_adds_both_families(four: str, six: str, expected: sockstat.Sockstat) -> None:
    assert sockstat.parse(four.encode(), six.encode()) == expected


CGROUP_V1 = b"""\
12:cpuset:/kubepods/besteffort/pod1/abc
9:name=systemd:/kubepods/a:b
0::/../init (deleted)
"""


MAPS = b"""55d0c0000000-55d0c0001000 r--p 00000000 08:01 77    /opt/a /[aio]b
7f0000000000-7f0000001000 rw-s 00000000 00:10 88    /[aio] (deleted)
7f0000002000-7f0000003000 rw-s 00000000 00:10 89    /[aio]
"""
MOUNTS = rb"""24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
300 24 0:4 net:[4026532205] /run/netns/my\040ns rw shared:9 - nsfs nsfs rw
30 24 0:27 /.. /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
31 24 0:28 / /sys/fs/cgroup/a\040b rw - cgroup cgroup rw,pids
301 24 0:4 mnt:[4026532206] /run/ns/mnt rw shared:9 - nsfs nsfs rw
"""


@pytest.mark.parametrize(
    ("parse", "data", "expected"),
    [
        (status.parse_effective_uid, b"Name:\tx\nUid:\t1000\t65534\t1000\t1000\n", 65534),
        (status.parse_effective_uid, b"Name:\tUid:\\t7\nUid:\t0\t0\t0\t0\n", 0),
        (status.parse_effective_uid, b"Name:\tx\nUid:\t4294967295\t4294967295\t0\t0\n", 4294967295),
        (limits.parse_open_files, recorded.LIMITS.format(soft=1024, hard=4096).encode(), (1024, 4096)),
        (
            limits.parse_open_files,
            recorded.LIMITS.format(soft="unlimited", hard="unlimited").encode(),
            (UNLIMITED, UNLIMITED),
        ),
        (limits.parse_open_files, recorded.LIMITS.format(soft=0, hard=0).encode(), (0, 0)),
        (cgroup.parse, b"0::/\n", (("", "/"),)),
        (cgroup.parse, b"", ()),
        (
            cgroup.parse,
            CGROUP_V1,
            (("cpuset", "/kubepods/besteffort/pod1/abc"), ("name=systemd", "/kubepods/a:b"), ("", "/../init")),
        ),
        (cgroup.parse, b"0::/\xffx\n", (("", "/\\xffx"),)),
        (mountinfo.parse_namespaces, MOUNTS, {4026532205: "/run/netns/my ns"}),
        (file_nr.parse, b"9312\t0\t9223372036854775807\n", 9312),
        (loadavg.parse_tasks, b"0.00 0.01 0.05 2/1031 99\n", 1031),
        (sysctl.parse_number, b"4194304\n", 4194304),
        (lambda data: sysctl.parse_numbers(data, 3), b"287898\t383867\t575796\n", (287898, 383867, 575796)),
        (
            key_users.parse,
            b"    0:   103 102/102 98/1000000 2121/25000000\n",
            [key_users.KeyUser(0, 98, 10**6, 2121, 25_000_000)],
        ),
        (maps.parse_aio_events, MAPS, 2 * 4096 // 64),
        (maps.parse_aio_events, b"", 0),
        (cgroupfs.parse_pids_max, b"max\n", UNLIMITED),
        (cgroupfs.parse_pids_max, b"32768\n", 32768),
        (
            mountinfo.parse_cgroups,
            MOUNTS,
            [
                mountinfo.CgroupMount("/sys/fs/cgroup", "/..", frozenset({"rw", "nsdelegate"}), unified=True),
                mountinfo.CgroupMount("/sys/fs/cgroup/a b", "/", frozenset({"rw", "pids"}), unified=False),
            ],
        ),
        (port_range.parse_range, b"32768\t60999\n", (32_768, 60_999)),
        (
            lambda data: netstat.parse(data, b"TCPTimeWaitOverflow"),
            b"TcpExt: SyncookiesSent TCPTimeWaitOverflow\nTcpExt: 3 17\nIpExt: InOctets\nIpExt: 9\n",
            17,
        ),
        (net_stat.parse_entries, recorded.NEIGHBOURS.format(count="0000002a").encode(), 42),
        (lambda text: ns.parse_net(text.decode()), b"net:[4026531840]", 4026531840),
    ],
)
def test_what_kernels_write(parse: Callable[[bytes], object], data: bytes, expected: object) -> None:
    assert parse(data) == expected


PARSERS: dict[str, Callable[[bytes], object]] = {
    "stat": stat.parse,
    "status": status.parse_effective_uid,
    "limits": limits.parse_open_files,
    "cgroup": cgroup.parse,
    "sockstat": sockstat.parse,
    "file-nr": file_nr.parse,
    "loadavg": loadavg.parse_tasks,
    "sysctl": sysctl.parse_number,
    "port range": port_range.parse_range,
    "reserved ports": lambda data: port_range.parse_ports(data, 1, 65_535),
    "netstat": lambda data: netstat.parse(data, b"TCPTimeWaitOverflow"),
    "sysctls": lambda data: sysctl.parse_numbers(data, 3),
    "maps": maps.parse_aio_events,
    "cgroupfs": cgroupfs.parse_pids_max,
    "cgroup mounts": mountinfo.parse_cgroups,
    "key_users": key_users.parse,
    "net_stat": net_stat.parse_entries,
    "mountinfo": mountinfo.parse_namespaces,
    "ns": lambda data: ns.parse_net(data.decode("utf-8", "surrogateescape")),
}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("stat", b""),
        ("stat", b"10 java S 1"),
        ("stat", b"10 (java) S 1 2"),
        ("file-nr", b"1" * 4000 + b" 0 9"),
        ("sysctl", b"-1"),
        ("stat", b"10 (java) S 1 2 2 0 -1 0 0 0 0 0 0 0 0 0 20 0 -1 0 100 0"),
        ("stat", b"10 (java) SS 1 10 10 0 -1 0 1 2 3 4 5 6 7 8 20 0 7 0 8154"),
        ("status", b"Name:\tx\n"),
        ("status", b"Name:\tx\nUid:\t0\n"),
        ("status", b"Name:\tx\nUid:\t0\t-1\t0\t0\n"),
        ("status", b"Name:\tx\nUid:\t0\troot\t0\t0\n"),
        ("limits", b""),
        ("limits", b"Max open files            -5    -5    files"),
        ("limits", b"Max open files            1024"),
        ("cgroup", b"no colons\n"),
        ("cgroup", b"x::/\n"),
        ("sockstat", b""),
        ("sockstat", b"TCP: inuse 1 orphan 0 tw\nUDP: inuse 0\n"),
        ("sockstat", b"TCP: inuse -1 orphan 0 tw 0\nUDP: inuse 0\n"),
        ("file-nr", b"1 2\n"),
        ("file-nr", b"-1 0 3\n"),
        ("loadavg", b"0.00 0.01 0.05\n"),
        ("loadavg", b"0.00 0.01 0.05 1 2\n"),
        ("sysctl", b""),
        ("sysctl", b"1 2\n"),
        ("sysctl", b"-1\n"),
        ("mountinfo", b"1 2 0:4 net:[x] /run/netns/a rw - nsfs nsfs rw\n"),
        ("mountinfo", b" - nsfs net:[5]"),
        ("ns", b"net:[]"),
        ("ns", b"mnt:[5]"),
        ("ns", b"net:[5"),
        ("ns", b"net:[-5]"),
        ("ns", b"net:[" + b"9" * 30 + b"]"),
    ],
)
def test_what_no_kernel_writes_is_malformed(name: str, data: bytes) -> None:
    with pytest.raises(Malformed):
        PARSERS[name](data)


@pytest.mark.parametrize("name", PARSERS)
@given(
    data=st.binary(max_size=300)
    | st.text(alphabet="0123456789 ():/-\n\tTCPUDPinusetwMaxopenfilesUid", max_size=200).map(str.encode)
)
def test_any_bytes_parse_or_are_malformed(name: str, data: bytes) -> None:
    with suppress(Malformed):
        PARSERS[name](data)


@given(data=st.binary(max_size=200), head=st.sampled_from([b"", b"1 ("]))
def test_a_mangled_stat_line_parses_or_is_malformed(data: bytes, head: bytes) -> None:
    line = head + data + b")" + STAT_TAIL
    try:
        parsed = stat.parse(line)
    except Malformed:
        return
    assert len(parsed.command.encode()) <= stat.MAXIMUM_COMMAND_BYTES
    assert parsed.command.isprintable()


@pytest.mark.parametrize(
    ("target", "mode", "kind"),
    [
        ("/var/log/messages", None, Kind.FILE),
        ("/tmp/#123 (deleted)", None, Kind.FILE),
        ("/memfd:wayland (deleted)", None, Kind.MEMFD),
        ("socket:[123]", None, Kind.SOCKET),
        ("pipe:[123]", None, Kind.PIPE),
        ("anon_inode:[eventpoll]", None, Kind.EPOLL),
        ("anon_inode:[eventfd]", None, Kind.EVENTFD),
        ("anon_inode:inotify", None, Kind.INOTIFY),
        ("anon_inode:[timerfd]", None, Kind.TIMERFD),
        ("anon_inode:[signalfd]", None, Kind.SIGNALFD),
        ("anon_inode:[io_uring]", None, Kind.OTHER),
        ("anon_inode:bpf-map", None, Kind.OTHER),
        ("mnt:[4026531841]", None, Kind.OTHER),
        ("", None, Kind.OTHER),
        ("/dev/null", 0o020666, Kind.DEVICE),
        ("/dev/null", 0o100644, Kind.FILE),
        ("/dev/null", None, Kind.DEVICE),
        ("/dev/sda", 0o060660, Kind.DEVICE),
        ("/dev/shm/x", 0o100600, Kind.FILE),
        ("/dev/shm/x", None, Kind.FILE),
        ("/dev/shm/null", 0o020666, Kind.DEVICE),
        ("/dev/pts/0", 0o020620, Kind.TTY),
        ("/dev/ptmx", 0o020666, Kind.TTY),
        ("/dev/tty1", None, Kind.TTY),
        ("/dev/ttyS0", 0o100644, Kind.FILE),
        ("/dev/net/tun", 0o020666, Kind.DEVICE),
        ("/device", None, Kind.FILE),
    ],
)
def test_the_kind_of_a_descriptor(target: str, mode: int | None, kind: Kind) -> None:
    assert fd.kind_of(target, mode) is kind


@given(links=st.lists(st.tuples(st.integers(0, 9999), st.text(max_size=30) | st.just("socket:[7]"))))
def test_kinds_sum_to_the_table_whatever_the_links_say(links: list[tuple[int, str]]) -> None:
    listing = fd.classify(links, lambda _: None)
    assert sum(listing.kinds.values()) == listing.size == len(links)


def test_only_links_below_dev_are_looked_at_twice() -> None:
    asked: list[int] = []

    def mode_of(number: int) -> int:
        asked.append(number)
        return 0o020666

    fd.classify([(0, "/dev/null"), (1, "/etc/passwd"), (2, "socket:[5]")], mode_of)
    assert asked == [0]


SOURCE = bytes([127, 0, 0, 1]) + bytes(12)


def message(state: int, cookie: int, inode: int, *, flags: int = 2, extra: bytes = b"") -> bytes:
    body = struct.pack("=BBBB", 2, state, 0, 0) + struct.pack(">HH", 80, 9) + SOURCE + bytes(16 + 4)
    body += struct.pack("=Q", cookie) + struct.pack("=IIIII", 0, 3, 4, 1000, inode) + extra
    return struct.pack("=IHHII", 16 + len(body), 20, flags, 1, 0) + body


def unpacked(state: int, cookie: int, inode: int) -> diag.InetRow:
    return 2, state, b"\0P", b"\0\t", SOURCE, bytes(16), cookie, 0, 3, 4, inode


def control(kind: int, code: int) -> bytes:
    return struct.pack("=IHHIIi", 20, kind, 2, 1, 0, code)


def test_a_dump_lists_sockets_and_ends() -> None:
    rows: list[netlink.Row] = []
    first = message(1, 11, 500) + message(6, 12, 0, extra=bytes(8))
    assert netlink.parse(first, diag.INET_MESSAGE, rows) == (False, False)
    assert netlink.parse(control(3, 0), diag.INET_MESSAGE, rows) == (True, False)
    assert rows == [unpacked(1, 11, 500), unpacked(6, 12, 0)]


DROPS = struct.pack("=HH9I", 40, 7, *range(90, 99))


@pytest.mark.parametrize(
    ("attributes", "drops"),
    [
        (b"", None),
        (DROPS, 98),
        (struct.pack("=HHB3x", 5, 8, 0) + DROPS, 98),
        (struct.pack("=HH", 4, 7) + DROPS[:8], None),
        (struct.pack("=HH", 0, 0) + bytes(8), None),
        (struct.pack("=HH", 400, 7) + bytes(40), None),
    ],
)
def test_what_a_listener_dropped_stands_behind_other_attributes(attributes: bytes, drops: int | None) -> None:
    rows: list[netlink.Row] = []
    netlink.parse(message(10, 11, 500, extra=attributes), diag._WithDrops(), rows)
    assert rows == [(*unpacked(10, 11, 500), drops)]


@pytest.mark.parametrize(
    ("family", "address", "expected"),
    [
        (2, SOURCE, bytes([127, 0, 0, 1])),
        (10, bytes(16), bytes(16)),
        (10, bytes(10) + b"\xff\xff\x7f\0\0\1", bytes([127, 0, 0, 1])),
    ],
)
def test_an_ipv4_address_has_four_bytes_however_it_is_written(family: int, address: bytes, expected: bytes) -> None:
    assert diag.short_address(family, address) == expected


def test_a_torn_dump_is_told() -> None:
    assert netlink.parse(message(1, 11, 500, flags=0x12) + control(3, 0), diag.INET_MESSAGE, []) == (True, True)


def test_a_socket_met_twice_is_one_in_its_later_state() -> None:
    earlier, other, later = unpacked(4, 11, 0), unpacked(1, 12, 500), unpacked(6, 11, 0)
    assert diag.distinct([earlier, other, later]) == [later, other]


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [(3, -2, Absent), (2, -2, Absent), (2, -1, Denied), (2, -13, Denied), (3, -22, Malformed), (3, -95, Absent)],
)
def test_an_error_of_the_kernel_is_never_an_empty_dump(kind: int, code: int, error: type[KernelError]) -> None:
    with pytest.raises(error):
        netlink.parse(control(kind, code), diag.INET_MESSAGE, [])


LAYOUTS = [
    diag.INET_MESSAGE,
    diag.UNIX_MESSAGE,
    diag._WithDrops(),
    diag._WithNameAndQueue(),
    diag._WithSilence(),
    conntrack._Message(),
]


@given(data=st.binary(max_size=400), layout=st.sampled_from(LAYOUTS))
def test_any_datagram_parses_or_is_refused(data: bytes, layout: netlink.Layout) -> None:
    with suppress(Absent, Denied, Malformed):
        netlink.parse(data, layout, [])


@given(data=st.binary(min_size=0, max_size=60), cut=st.integers(0, 100))
def test_a_cut_dump_is_refused_or_shorter(data: bytes, cut: int) -> None:
    whole = message(1, 11, 500) + message(6, 12, 0) + data
    rows: list[netlink.Row] = []
    with suppress(Absent, Denied, Malformed):
        netlink.parse(whole[: max(1, len(whole) - cut)], diag.INET_MESSAGE, rows)
    assert rows == [unpacked(1, 11, 500), unpacked(6, 12, 0)][: len(rows)] or len(rows) > 2


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("TCP", "tcp"),
        ("TCPv6", "tcp"),
        ("UDP", "udp"),
        ("UDPv6", "udp"),
        ("UDP-Lite", "udp"),
        ("UDPLITEv6", "udp"),
        ("UNIX", "unix"),
        ("UNIX-STREAM", "unix"),
        ("NETLINK", "other"),
        ("MPTCP", "other"),
        ("MPTCPv6", "other"),
        ("PACKET", "other"),
        ("", "other"),
    ],
)
def test_the_family_of_a_protocol(name: str, family: str) -> None:
    assert protocol.family(name) == family


def test_every_parser_is_fuzzed() -> None:
    modules: list[Any] = [
        maps,
        cgroupfs,
        stat,
        status,
        limits,
        cgroup,
        sockstat,
        file_nr,
        loadavg,
        mountinfo,
        key_users,
        net_stat,
        netstat,
        ns,
        port_range,
        sysctl,
    ]
    parsers = {(module.__name__, name) for module in modules for name in vars(module) if name.startswith("parse")}
    assert len(parsers) == len(PARSERS)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def flow(source: str, state: int | None) -> bytes:
    def one(kind: int, here: str, there: str, port: int) -> bytes:
        ip = attribute(1, socket.inet_aton(here)) + attribute(2, socket.inet_aton(there))
        protocol = attribute(1, b"\x06") + attribute(2, b"\x9c\x40") + attribute(3, port.to_bytes(2, "big"))
        return attribute(kind | 0x8000, attribute(0x8001, ip) + attribute(0x8002, protocol))

    info = b"" if state is None else attribute(0x8004, attribute(0x8001, attribute(1, bytes([state]))))
    body = one(1, source, "10.96.0.10", 53) + one(2, "10.0.0.7", source, 40_000) + info
    return struct.pack("=IHHIIBBH", 20 + len(body), 256, 2, 1, 0, 2, 0, 0) + body


def test_a_tracked_connection_tells_who_whom_and_how() -> None:
    rows: list[netlink.Row] = []
    netlink.parse(flow("10.0.0.5", 7) + flow("10.0.0.6", None), conntrack._Message(), rows)
    first, second = rows
    service, pod = socket.inet_aton("10.96.0.10"), socket.inet_aton("10.0.0.7")
    assert first == (socket.inet_aton("10.0.0.5"), service, 53, pod, 6, 7)
    assert conntrack.STATES[first[-1]] == "TIME_WAIT"
    assert (second[0], second[-1]) == (socket.inet_aton("10.0.0.6"), None)


def test_flows_are_summed_by_end_destination_and_state() -> None:
    rows: list[netlink.Row] = []
    netlink.parse(flow("10.0.0.5", 7) * 3 + flow("10.0.0.6", 3), conntrack._Message(), rows)
    found = flows.summed(map(conntrack.Flow._make, rows))
    assert found.sampled == 4
    assert found.ends == (("10.0.0.5", "10.0.0.7", 3), ("10.0.0.6", "10.0.0.7", 1))
    assert found.destinations == (("10.96.0.10", 53, "tcp", 4),)
    assert found.states == (("TIME_WAIT", 3), ("ESTABLISHED", 1))
