"""/proc/sys files of a single number, and what some figures mean (Documentation/admin-guide/sysctl)."""

from contextlib import suppress

from auditor.kernel.errors import KernelError, Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import UNLIMITED, Unlimited
from auditor.model.words import bounded, clean

TIME_WAIT_MAX = "net/ipv4/tcp_max_tw_buckets"

_LONG_MAX = (1 << 63) - 1
# file-max is an unsigned long whose default on recent hosts is LONG_MAX; a few below it mean the same.
_NO_BOUND = _LONG_MAX - 4096


def read_number(top: ProcDirectory, name: str) -> int:
    """Read one figure, e.g. `kernel/pid_max`. Files below `net/` answer for the reading thread's namespace."""
    return parse_number(top.read(f"sys/{name}"))


def parse_number(data: bytes) -> int:
    """Parse a file of one non-negative figure."""
    try:
        (text,) = data.split()
        value = natural(text)
    except ValueError:
        raise Malformed("sysctl") from None
    return value


def read_numbers(top: ProcDirectory, name: str, many: int) -> tuple[int, ...]:
    """Read a file of several figures, e.g. `net/ipv4/tcp_mem`."""
    return parse_numbers(top.read(f"sys/{name}"), many)


def parse_numbers(data: bytes, many: int) -> tuple[int, ...]:
    """Parse a line of so many non-negative figures."""
    texts = data.split()
    if len(texts) != many:
        raise Malformed("sysctl")
    return tuple(map(parse_number, texts))


def read_time_wait_max(top: ProcDirectory) -> int | Unlimited:
    """Read net.ipv4.tcp_max_tw_buckets of the reading thread's namespace, which may be set to any int there."""
    data = top.read(f"sys/{TIME_WAIT_MAX}").strip()
    figure = parse_number(data.removeprefix(b"-"))
    return time_wait_max(-figure if data.startswith(b"-") else figure)


def time_wait_max(figure: int) -> int | Unlimited:
    """Say what the figure allows.

    The kernel compares without a sign (`inet_twsk_alloc`), so that one below zero is never reached. (Before Linux 5.18
    it compared with a sign, and no connection of such a namespace waits: there is none to be counted either.)
    """
    return figure if figure >= 0 else UNLIMITED


def read_conntrack_max(top: ProcDirectory) -> int | Unlimited:
    """Read net.netfilter.nf_conntrack_max. To the kernel 0 is no limit (`__nf_conntrack_alloc`)."""
    return read_number(top, "net/netfilter/nf_conntrack_max") or UNLIMITED


def read_file_max(top: ProcDirectory) -> int | Unlimited:
    """Read fs.file-max: open file descriptions that processes without CAP_SYS_ADMIN may have, all together."""
    value = read_number(top, "fs/file-max")
    return UNLIMITED if value >= _NO_BOUND else value


def read_text(top: ProcDirectory, name: str) -> str:
    """Read a file of one word, e.g. `kernel/osrelease`, cleaned and bounded."""
    return bounded(clean(top.read(f"sys/{name}").decode(errors="replace")), 256)


def host_name(root: ProcRoot) -> str | None:
    """Read kernel/hostname: of the reader's own UTS namespace, or of where a tree was recorded; `None` if it is not there."""
    with suppress(KernelError), root.top() as top:
        return read_text(top, "kernel/hostname")
    return None
