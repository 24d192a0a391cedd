"""/proc/PID/stat, proc_pid_stat(5): who a process is."""

from dataclasses import dataclass
from functools import lru_cache

from auditor.kernel.errors import Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory
from auditor.model.words import bounded, clean

PF_EXITING = 0x00000004
PF_KTHREAD = 0x00200000
MAXIMUM_COMMAND_BYTES = 64  # TASK_COMM_LEN is 16; kernel workers show longer names
_MAXIMUM_COMM_BYTES = 256  # that are looked at

# Positions after the closing parenthesis of comm; the manual counts comm as field 2.
_STATE, _FLAGS, _THREADS, _START = 3 - 3, 9 - 3, 20 - 3, 22 - 3


@dataclass(frozen=True, slots=True)
class Stat:
    """What is used of the line.

    Attributes:
        command: comm, cleaned and bounded.
        state: one letter; Z is a zombie, or a leader that ended before its threads.
        flags: PF_* bits.
        threads: tasks of the group, a leader that ended first included.
        start: clock ticks since boot.
    """

    command: str
    state: str
    flags: int
    threads: int
    start: int

    @property
    def kernel_thread(self) -> bool:
        """Whether it is a thread of the kernel itself."""
        return bool(self.flags & PF_KTHREAD)

    @property
    def zombie(self) -> bool:
        """Whether the leader has ended."""
        return self.state in "ZX"

    @property
    def ending(self) -> bool:
        """Whether the leader has ended or is giving back what it holds, namespaces and descriptors first."""
        return self.zombie or bool(self.flags & PF_EXITING)


def read(process: ProcDirectory) -> Stat:
    """Read /proc/PID/stat. Any user may."""
    return parse(process.read("stat"))


def parse(data: bytes) -> Stat:
    """Parse the line. comm may hold parentheses, spaces and newlines: it ends at the last parenthesis."""
    opening, closing = data.find(b"("), data.rfind(b")")
    fields = data[closing + 1 :].split()
    try:
        if not 0 < opening < closing or len(fields[_STATE]) != 1:
            raise Malformed("stat")
        flags, threads, start = (natural(fields[index]) for index in (_FLAGS, _THREADS, _START))
        state = fields[_STATE].decode("ascii")
    except (ValueError, IndexError):
        raise Malformed("stat") from None
    return Stat(command(data[opening + 1 : closing]), state, flags, threads, start)


def reduce(data: bytes) -> bytes:
    """Keep the line up to the last field that is parsed: behind it are addresses of the process's memory."""
    opening, closing = data.find(b"("), data.rfind(b")")
    if not 0 < opening < closing:
        return b""
    comm, rest = data[opening + 1 : closing][:_MAXIMUM_COMM_BYTES], data[closing + 1 :].split()[: _START + 1]
    return data[:opening] + b"(" + comm + b") " + b" ".join(rest) + b"\n"


@lru_cache(maxsize=1024)
def command(comm: bytes) -> str:
    """Clean and bound what a process calls itself."""
    return bounded(clean(comm[:_MAXIMUM_COMM_BYTES].decode(errors="replace")), MAXIMUM_COMMAND_BYTES)
