"""Processes that do not show at all, whatever the source: those of other PID namespaces, and those that hidepid hides."""

from collections.abc import Iterable

from auditor.kernel.root import ProcRoot
from auditor.model import Gap
from auditor.sweep.losses import OF_DESCRIPTORS, OF_NAMESPACES
from auditor.sweep.processes import Row

_UNKNOWABLE = OF_DESCRIPTORS | OF_NAMESPACES | {"process-fds"}
_INITS = frozenset({"systemd", "init"})
_KUBELETS = frozenset({"kubelet", "k3s", "k3s-server", "k3s-agent", "k0s", "kubelite"})


def gaps(root: ProcRoot, rows: Iterable[Row]) -> list[Gap]:
    """Tell it, from the rows that do show: every PID namespace has a process 1."""
    rows = list(rows)
    found = []
    if root.nested:
        detail = "processes outside this PID namespace do not show: hostPID, or docker run --pid=host, shows them"
        found.append(Gap("pid-namespace", detail, limits=frozenset() if _is_a_node(rows) else _UNKNOWABLE))
    if all(row.pid != 1 for row in rows):
        why = "mounted with hidepid" if root.mounted else "recorded without process 1"
        detail = f"{root.path} shows some processes only ({why}): root with CAP_SYS_PTRACE sees all"
        found.append(Gap("hidden-processes", detail, limits=_UNKNOWABLE))
    return found


def _is_a_node(rows: Iterable[Row]) -> bool:
    """Whether the namespace is a whole node inside of a container (kind, k3d, LXC): what is outside is not that node's."""
    return any((row.pid == 1 and row.command in _INITS) or row.command in _KUBELETS for row in rows)
