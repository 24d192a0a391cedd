"""/proc/PID/maps, proc_pid_maps(5): the rings of asynchronous I/O contexts, which have no descriptor (fs/aio.c)."""

from auditor.kernel.errors import Malformed
from auditor.kernel.procfs.number import hexadecimal
from auditor.kernel.root import ProcDirectory

_EVENT_BYTES = 32  # struct io_event; the ring's head is as large
_RING = b" /[aio]"


def read_aio_events(process: ProcDirectory) -> int:
    """Read how many events the contexts of a process were made for, about. Another's process needs CAP_SYS_PTRACE."""
    return parse_aio_events(process.read("maps", having=_RING))


def reduce(data: bytes) -> bytes:
    """Keep the size of each ring: neither addresses nor names of mapped files."""
    events = parse_aio_events(data)
    return b"0-%x rw-s 00000000 00:00 0%b\n" % (events * 2 * _EVENT_BYTES, _RING) if events else b""


def parse_aio_events(data: bytes) -> int:
    """Add up the rings. The kernel makes each twice as large as it was asked for, and rounds it up to pages."""
    events = 0
    if _RING not in data:
        return events
    for line in data.split(b"\n"):
        addresses, _, rest = line.partition(b" ")
        if not rest.removesuffix(b" (deleted)").endswith(_RING):
            continue
        try:
            start, end = (hexadecimal(text) for text in addresses.split(b"-"))
        except ValueError:
            raise Malformed("maps") from None
        events += max(0, end - start) // _EVENT_BYTES // 2
    return events
