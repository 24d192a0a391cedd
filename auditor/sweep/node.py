"""Figures of the whole node."""

import re

from auditor.kernel.errors import Denied, KernelError
from auditor.kernel.procfs import file_nr, loadavg, sysctl
from auditor.kernel.root import ProcDirectory, ProcRoot, in_initial_pid_namespace
from auditor.model import NodeFacts
from auditor.sweep.losses import Losses

_PID_MAX = "kernel/pid_max"
_OF_EACH_NAMESPACE = (6, 14)  # the first Linux in which every PID namespace has a kernel.pid_max of its own


def take(root: ProcRoot, losses: Losses) -> tuple[NodeFacts, str | None]:
    """Read the figures and the kernel's release as uname -r prints it (of a recorded tree: where it was taken).

    What cannot be read is unknown.
    """
    try:
        with root.top() as top:
            release = losses.attempt("kernel/osrelease", lambda: sysctl.read_text(top, "kernel/osrelease"))
            return _facts(top, losses, pid_max=_shows_pid_max(root, release)), release
    except KernelError as error:  # out of descriptors ourselves
        losses.count("sys", error)
        return NodeFacts(), None


def _shows_pid_max(root: ProcRoot, release: str | None) -> bool:
    """Whether the file answers for the machine: by any mount it shows the maximum of the reader's own PID namespace."""
    if in_initial_pid_namespace() if root.mounted else not root.nested:
        return True
    found = re.match(r"(\d+)\.(\d+)", release or "")
    return found is not None and tuple(map(int, found.groups())) < _OF_EACH_NAMESPACE


def _facts(top: ProcDirectory, losses: Losses, *, pid_max: bool) -> NodeFacts:
    def number(name: str) -> int | None:
        return losses.attempt(name, lambda: sysctl.read_number(top, name))

    if not pid_max:
        losses.count(_PID_MAX, Denied(_PID_MAX))
    return NodeFacts(
        file_handles=losses.attempt("fs/file-nr", lambda: file_nr.read(top)),
        file_max=losses.attempt("fs/file-max", lambda: sysctl.read_file_max(top)),
        tasks=losses.attempt("loadavg", lambda: loadavg.read_tasks(top)),
        pid_max=number(_PID_MAX) if pid_max else None,
        threads_max=number("kernel/threads-max"),
        inotify_max_instances=number("fs/inotify/max_user_instances"),
        inotify_max_watches=number("fs/inotify/max_user_watches"),
        epoll_max_watches=number("fs/epoll/max_user_watches"),
    )
