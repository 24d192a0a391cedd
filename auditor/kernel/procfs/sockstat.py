"""/proc/PID/net/sockstat and sockstat6: socket counts of one network namespace."""

from dataclasses import dataclass

from auditor.kernel.errors import Absent, Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory


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
    rows = _rows(four) | _rows(six)
    try:
        return Sockstat(
            tcp=rows["TCP"]["inuse"] + rows.get("TCP6", {}).get("inuse", 0),
            udp=rows["UDP"]["inuse"] + rows.get("UDP6", {}).get("inuse", 0),
            udplite=rows.get("UDPLITE", {}).get("inuse", 0) + rows.get("UDPLITE6", {}).get("inuse", 0),
            time_wait=rows["TCP"]["tw"],
            orphans=rows["TCP"].get("orphan"),
            tcp_pages=rows["TCP"].get("mem"),
            udp_pages=rows["UDP"].get("mem"),
        )
    except KeyError:
        raise Malformed("sockstat") from None


def _rows(data: bytes) -> dict[str, dict[str, int]]:
    rows = {}
    for line in data.decode("ascii", "replace").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        try:
            figures = {word: natural(figure) for word, figure in zip(words[::2], words[1::2], strict=True)}
        except ValueError:
            raise Malformed("sockstat") from None
        rows[name] = figures
    return rows
