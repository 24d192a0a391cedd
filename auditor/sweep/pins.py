"""Network namespaces that only a mount keeps alive, as `ip netns add` and container runtimes make them."""

import time
from collections import defaultdict
from collections.abc import Iterable

from auditor.kernel.errors import Absent, Denied, Gone, KernelError
from auditor.kernel.procfs import mountinfo
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.sweep.losses import Losses
from auditor.sweep.memory import MountNamespace, Spare
from auditor.sweep.processes import Pinned, Row


def find(root: ProcRoot, rows: Iterable[Row], losses: Losses, spare: Spare) -> dict[int, list[str]]:
    """Find the namespaces that a mount keeps alive, and the paths that may lead to them.

    Each mount namespace is read once, through the first of its processes that does not end meanwhile. Where a process's
    root is out of reach, the same mount may be visible here; the inode number tells.

    Args:
        root: the tree.
        rows: processes that may have such mounts: container runtimes and their like, in the host's network namespace.
        losses: where failures are counted.
        spare: which mount namespaces had none so recently that they are not asked again.
    """
    found: defaultdict[int, list[str]] = defaultdict(list)
    resting = spare.resting(spare.memory.without_pins, spare.memory.without_pins)
    seen: set[MountNamespace] = set(resting)
    for row in rows:
        if row.mounts in seen:
            continue
        try:
            with root.process(row.pid) as process:
                namespace = row.mounts or _mount_namespace(process)
                if namespace in seen:
                    continue
                pins = Pinned(process, losses, row.pid).figure("mountinfo", mountinfo.read_namespaces)
        except Gone:
            continue
        except KernelError as error:
            losses.count("mountinfo", error)
            continue
        seen.add(namespace)
        if pins is None:
            continue
        for inode, path in pins.items():
            found[inode] += [f"{root.path}/{row.pid}/root{path}", path]
        if not pins:
            resting[namespace] = time.monotonic()
    spare.memory.without_pins = resting
    return found


def _mount_namespace(process: ProcDirectory) -> str | None:
    """Return its name; `None` where it is refused: anybody may read the mounts, so those are read once as one."""
    try:
        return process.link("ns/mnt")
    except (Absent, Denied):
        return None
