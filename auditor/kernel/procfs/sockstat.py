"""/proc/PID/net/sockstat and sockstat6: socket counts of one network namespace."""

import re
from dataclasses import dataclass

from auditor.kernel.errors import Absent, Malformed
from auditor.kernel.root import ProcDirectory

# net/ipv4/proc.c: of the other figures `alloc` is the whole system's, and fragments are no sockets.
_LINES = re.compile(
    rb"^(TCP6?|UDP6?|UDPLITE6?): inuse (\d{1,20})\b(?: orphan (\d{1,20}) tw (\d{1,20})\b)?(?:.* mem (\d{1,20})\b)?",
    re.MULTILINE,
)
_NONE = (b"0",)


@dataclass(frozen=True, slots=True)
class Sockstat:
    """Counts of one namespace, v4 and v6 together; the last three are the whole system's.

    Attributes:
        tcp: TCP sockets in the hash tables; neither TIME_WAIT nor half-open requests.
        udp: bound UDP sockets.
        udplite: the same for UDP-Lite.
        time_wait: mini-sockets, TIME_WAIT and FIN_WAIT2 alike.
        orphans: TCP sockets that no process has any more. Mini-sockets are none.
        tcp_pages: memory of all TCP sockets in pages; a per-CPU counter, behind by up to 1 MiB for each CPU.
        udp_pages: the same of UDP.
    """

    tcp: int
    udp: int
    udplite: int
    time_wait: int
    orphans: int | None = None
    tcp_pages: int | None = None
    udp_pages: int | None = None


def read(process: ProcDirectory, task: str = "") -> Sockstat:
    """Read the counts of a process's namespace. Any user may. Without IPv6 in the kernel there is no sockstat6."""
    four = process.read(f"{task}net/sockstat")
    try:
        six = process.read(f"{task}net/sockstat6")
    except Absent:
        process.stat(f"{task}net/sockstat")  # no IPv6, then; unless the process is ending, and this is absent as well
        six = b""
    return parse(four, six)


def read_here(top: ProcDirectory) -> Sockstat:
    """Read the counts of the calling thread's namespace, which need not be its process's."""
    return read(top, "thread-self/")


def identity(process: ProcDirectory, task: str = "") -> int:
    """Return the inode number of the file itself: one for each network namespace, and any user may ask."""
    return process.stat(f"{task}net/sockstat").st_ino


def parse(four: bytes, six: bytes = b"") -> Sockstat:
    """Parse both files; lines are `TCP: inuse 5 orphan 0 tw 2 ...`."""
    rows = {name: figures for name, *figures in _LINES.findall(four + six)}
    try:
        inuse, orphans, time_wait, tcp_pages = rows[b"TCP"]
        udp, _, _, udp_pages = rows[b"UDP"]
        return Sockstat(
            tcp=int(inuse) + int(rows.get(b"TCP6", _NONE)[0]),
            udp=int(udp) + int(rows.get(b"UDP6", _NONE)[0]),
            udplite=int(rows.get(b"UDPLITE", _NONE)[0]) + int(rows.get(b"UDPLITE6", _NONE)[0]),
            time_wait=int(time_wait),
            orphans=int(orphans),
            tcp_pages=int(tcp_pages) if tcp_pages else None,
            udp_pages=int(udp_pages) if udp_pages else None,
        )
    except (KeyError, ValueError):
        raise Malformed("sockstat") from None
