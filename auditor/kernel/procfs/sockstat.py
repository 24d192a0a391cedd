"""/proc/PID/net/sockstat and sockstat6: socket counts of one network namespace."""

import re
from dataclasses import dataclass

from auditor.kernel.errors import Absent, Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory

_LINES = re.compile(rb"^(TCP6?|UDP6?|UDPLITE6?): (.*)$", re.MULTILINE)
_NONE = [b"inuse", b"0"]


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
    rows = {name: figures.split() for name, figures in _LINES.findall(four) + _LINES.findall(six)}
    tcp, udp = rows.get(b"TCP", []), rows.get(b"UDP", [])
    return Sockstat(
        tcp=_figure(tcp, b"inuse") + _figure(rows.get(b"TCP6", _NONE), b"inuse"),
        udp=_figure(udp, b"inuse") + _figure(rows.get(b"UDP6", _NONE), b"inuse"),
        udplite=sum(_figure(rows.get(name, _NONE), b"inuse") for name in (b"UDPLITE", b"UDPLITE6")),
        time_wait=_figure(tcp, b"tw"),
        orphans=_figure(tcp, b"orphan") if b"orphan" in tcp else None,
        tcp_pages=_figure(tcp, b"mem") if b"mem" in tcp else None,
        udp_pages=_figure(udp, b"mem") if b"mem" in udp else None,
    )


def _figure(words: list[bytes], name: bytes) -> int:
    try:
        return natural(words[words.index(name) + 1])
    except (ValueError, IndexError):
        raise Malformed("sockstat") from None
