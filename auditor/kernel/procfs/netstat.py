"""/proc/PID/net/netstat: event counters of one network namespace since it was made (net/ipv4/proc.c)."""

from auditor.kernel.errors import Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory


def read_time_wait_overflows(process: ProcDirectory, task: str = "") -> int:
    """Read how many connections were closed without TIME_WAIT since all buckets were taken."""
    return parse(process.read(f"{task}net/netstat"), b"TCPTimeWaitOverflow")


def parse(data: bytes, name: bytes) -> int:
    """Parse one counter of the group TcpExt: a line of names is followed by a line of figures."""
    lines = [line.split() for line in data.splitlines() if line.startswith(b"TcpExt:")]
    try:
        names, figures = lines
        return natural(figures[names.index(name)])
    except (ValueError, IndexError):
        raise Malformed("netstat") from None
