"""/proc/net/stat: how many entries the tables of neighbours and of tracked connections have.

Neighbours (net/core/neighbour.c) are in one table for all network namespaces, and the files are there in the initial
one only; connections (net/netfilter/nf_conntrack_standalone.c) are counted in each namespace by itself.
"""

from auditor.kernel.errors import Malformed
from auditor.kernel.procfs.number import hexadecimal
from auditor.kernel.root import ProcDirectory

IPV4, IPV6, CONNTRACK = "arp_cache", "ndisc_cache", "nf_conntrack"


def read_entries(process: ProcDirectory, table: str, task: str = "") -> int:
    """Read how many entries a table has. Any user may.

    Args:
        process: whose network namespace is asked.
        table: `IPV4`, `IPV6` or `CONNTRACK`.
        task: `thread-self/` to ask the calling thread's.
    """
    return parse_entries(process.read(f"{task}net/stat/{table}"))


def parse_entries(data: bytes) -> int:
    """Parse the first column, in hex. There is a line for each CPU, and in all of them it says the same."""
    try:
        head, first = data.split(b"\n", 2)[:2]
        if head.split()[0] != b"entries":
            raise Malformed("net_stat")
        return hexadecimal(first.split()[0])
    except (ValueError, IndexError):
        raise Malformed("net_stat") from None
