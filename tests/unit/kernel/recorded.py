"""Builds a recorded procfs tree: the files of a few processes, as cp would have saved them."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            {soft:<20} {hard:<20} files
Max locked memory         8388608              8388608              bytes
"""
SOCKSTAT = """\
sockets: used 214
TCP: inuse 7 orphan 0 tw 12 alloc 31 mem 4
UDP: inuse 4 mem 2
UDPLITE: inuse 0
RAW: inuse 0
FRAG: inuse 0 memory 0
"""
SOCKSTAT6 = """\
TCP6: inuse 3
UDP6: inuse 1
UDPLITE6: inuse 0
RAW6: inuse 0
FRAG6: inuse 0 memory 0
"""
CGROUP = "0::/kubepods.slice/kubepods-pod0a1b2c3d_0a1b_0a1b_0a1b_0a1b2c3d4e5f.slice/cri-containerd-{id}.scope\n"
FDINFO = {
    "anon_inode:inotify": "pos:\t0\nflags:\t00\nmnt_id:\t15\nino:\t55\n"
    + "inotify wd:2 ino:2b sdev:800001 mask:8 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:a1\n" * 3,
    "anon_inode:[eventpoll]": "pos:\t0\nflags:\t02\ntfd:        5 events:       19 data:  5 pos:0 ino:3 sdev:8\n",
}
NEIGHBOURS = """\
entries  allocs   destroys hash_grows
{count} 00000072 00000071 00000000
{count} 0000007f 0000007e 00000000
"""
HOST_NETNS = 4026531840


def process(
    root: Path,
    pid: int,
    *,
    comm: bytes = b"cat",
    state: str = "S",
    flags: int = 0x400000,
    threads: int = 1,
    start: int = 1000,
    uid: int = 0,
    soft: object = 1024,
    hard: object = 524288,
    netns: int | None = HOST_NETNS,
    fds: Mapping[int, str] | None = None,
) -> Path:
    folder = root / str(pid)
    folder.mkdir()
    tail = (
        f"{state} 1 {pid} {pid} 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 {threads} 0 {start} 4096 100 18446744073709551615\n"
    )
    (folder / "stat").write_bytes(str(pid).encode() + b" (" + comm + b") " + tail.encode())
    (folder / "status").write_text(
        f"Name:\tcat\nUmask:\t0022\nUid:\t{uid + 1}\t{uid}\t{uid}\t{uid}\nGid:\t0\t0\t0\t0\n"
    )
    (folder / "limits").write_text(LIMITS.format(soft=soft, hard=hard))
    (folder / "cgroup").write_text(CGROUP.format(id="f" * 64))
    if netns is not None:
        (folder / "ns").mkdir()
        os.symlink(f"net:[{netns}]", folder / "ns" / "net")
    (folder / "net").mkdir()
    (folder / "net" / "sockstat").write_text(SOCKSTAT)
    (folder / "net" / "sockstat6").write_text(SOCKSTAT6)
    (folder / "net" / "stat").mkdir()
    (folder / "net" / "stat" / "arp_cache").write_text(NEIGHBOURS.format(count="0000002a"))
    (folder / "net" / "stat" / "ndisc_cache").write_text(NEIGHBOURS.format(count="00000007"))
    (folder / "fd").mkdir()
    for number, target in (fds or {}).items():
        os.symlink(target, folder / "fd" / str(number))
        (folder / "fdinfo").mkdir(exist_ok=True)
        (folder / "fdinfo" / str(number)).write_text(FDINFO.get(target, "pos:\t0\nflags:\t02\n"))
    return folder


def node(root: Path, without: Iterable[str] = ()) -> None:
    files = {
        "loadavg": "0.52 0.58 0.59 3/1031 123456\n",
        "sys/fs/file-nr": "9312\t0\t9223372036854775807\n",
        "sys/fs/file-max": "9223372036854775807\n",
        "sys/fs/inotify/max_user_instances": "128\n",
        "sys/fs/inotify/max_user_watches": "524288\n",
        "sys/fs/epoll/max_user_watches": "1795000\n",
        "key-users": "    0:    11 10/10 5/1000000 70/25000000\n 1000:     2 2/2 2/200 24/20000\n",
        "sys/fs/aio-nr": "2048\n",
        "sys/fs/aio-max-nr": "65536\n",
        "sys/kernel/pty/nr": "3\n",
        "sys/kernel/pty/max": "4096\n",
        "sys/kernel/pty/reserve": "1024\n",
        "sys/kernel/pid_max": "4194304\n",
        "sys/kernel/threads-max": "254310\n",
        "sys/kernel/osrelease": "6.1.0-23-amd64\n",
        "sys/net/ipv4/tcp_max_orphans": "131072\n",
        "sys/net/ipv4/tcp_mem": "287898\t383867\t575796\n",
        "sys/net/ipv4/udp_mem": "575799\t767734\t1151598\n",
        "sys/net/ipv4/neigh/default/gc_thresh3": "1024\n",
        "sys/net/ipv6/neigh/default/gc_thresh3": "1024\n",
        "sys/net/netfilter/nf_conntrack_count": "31022\n",
        "sys/net/netfilter/nf_conntrack_max": "262144\n",
        "sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
        "sys/net/ipv4/ip_local_reserved_ports": "40000-40009\n",
        "sys/net/ipv4/tcp_tw_reuse": "2\n",
        "sys/net/ipv4/tcp_timestamps": "1\n",
        "sys/net/ipv4/tcp_max_tw_buckets": "131072\n",
    }
    for name, text in files.items():
        if name not in without:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)


def cgroup_tasks(root: Path, tasks: Mapping[str, tuple[int, str]], *, v1: bool = False) -> None:
    """Give process 1 a cgroup file system. Its folders: (pids.current, pids.max)."""
    point = "sys/fs/cgroup/pids" if v1 else "sys/fs/cgroup"
    kind = "cgroup cgroup rw,pids" if v1 else "cgroup2 cgroup2 rw,nsdelegate"
    (root / "1" / "mountinfo").write_text(f"25 1 0:22 / /{point} rw,nosuid - {kind}\n")
    base = root / "1" / "root" / point
    for path, (used, limit) in tasks.items():
        folder = base / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pids.current").write_text(f"{used}\n")
        (folder / "pids.max").write_text(f"{limit}\n")
