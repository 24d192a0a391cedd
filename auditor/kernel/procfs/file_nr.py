"""/proc/sys/fs/file-nr (Documentation/admin-guide/sysctl/fs.rst): open file descriptions of the whole system."""

from auditor.kernel.errors import Malformed
from auditor.kernel.procfs.number import natural
from auditor.kernel.root import ProcDirectory


def read(top: ProcDirectory) -> int:
    """Read how many descriptions are allocated. A per-CPU counter: off by a few per CPU."""
    return parse(top.read("sys/fs/file-nr"))


def parse(data: bytes) -> int:
    """Parse the first of three figures (allocated, free and always 0, maximum)."""
    try:
        allocated, _, _ = (natural(text) for text in data.split())
    except ValueError:
        raise Malformed("file-nr") from None
    return allocated
