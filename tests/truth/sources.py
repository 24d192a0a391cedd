"""The source under test: each test runs by every source, unless it is marked to be about one."""

import os
from collections import Counter
from contextlib import suppress
from functools import cache

from auditor.kernel.bpf.programs import Programs
from auditor.kernel.root import ProcRoot
from auditor.model import NodeSample
from auditor.sweep import bpf
from auditor.sweep import sweep as by_procfs
from auditor.sweep.bpf import Memory

SOURCES = ("procfs", "bpf")
current = "procfs"


@cache
def programs() -> Programs:
    return Programs()


def sweep(
    root: ProcRoot, cpu_seconds: float | None = None, memory: Memory | None = None, snat_ports: int | None = None
) -> NodeSample:
    if current == "bpf":
        return bpf.sweep(root, programs(), cpu_seconds=cpu_seconds, memory=memory or Memory(), snat_ports=snat_ports)
    return by_procfs(root, cpu_seconds=cpu_seconds, memory=memory, snat_ports=snat_ports)


def own_descriptors() -> Counter[str]:
    """What this process has open, but for what the threads come and go with that boot emulated kernels beside it."""
    links = []
    for entry in os.scandir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            links.append(os.readlink(entry.path))
    return Counter(link for link in links if not link.startswith(("pipe:", "/dev/null", "/proc/self/fd")))
