"""/proc/net/stat/arp_cache and ndisc_cache: the neighbour tables, net/core/neighbour.c. One table for all namespaces."""

from auditor.kernel.errors import Malformed
from auditor.kernel.root import ProcDirectory

IPV4, IPV6 = "arp_cache", "ndisc_cache"


def read_entries(process: ProcDirectory, table: str, task: str = "") -> int:
    """Read how many entries the table has, whatever their namespace. The file is there in the initial namespace only.

    Args:
        process: whose network namespace is asked.
        table: `IPV4` or `IPV6`.
        task: `thread-self/` to ask the calling thread's.
    """
    return parse_entries(process.read(f"{task}net/stat/{table}"))


def parse_entries(data: bytes) -> int:
    """Parse the first column, in hex. There is a line for each CPU, and in all of them it says the same."""
    try:
        head, first = data.split(b"\n", 2)[:2]
        if head.split()[0] != b"entries":
            raise Malformed("neigh_stat")
        return int(first.split()[0], 16)
    except (ValueError, IndexError):
        raise Malformed("neigh_stat") from None
