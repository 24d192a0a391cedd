"""Figures of the whole node."""

from auditor.kernel.errors import KernelError
from auditor.kernel.procfs import file_nr, loadavg, sysctl
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import NodeFacts
from auditor.sweep.losses import Losses


def take(root: ProcRoot, losses: Losses) -> tuple[NodeFacts, str | None]:
    """Read the figures and the kernel's release as uname -r prints it (of a recorded tree: where it was taken).

    What cannot be read is unknown.
    """
    try:
        with root.top() as top:
            return _facts(top, losses), losses.attempt(
                "kernel/osrelease", lambda: sysctl.read_text(top, "kernel/osrelease")
            )
    except KernelError as error:  # out of descriptors ourselves
        losses.count("sys", error)
        return NodeFacts(), None


def _facts(top: ProcDirectory, losses: Losses) -> NodeFacts:
    def number(name: str) -> int | None:
        return losses.attempt(name, lambda: sysctl.read_number(top, name))

    return NodeFacts(
        file_handles=losses.attempt("fs/file-nr", lambda: file_nr.read(top)),
        file_max=losses.attempt("fs/file-max", lambda: sysctl.read_file_max(top)),
        tasks=losses.attempt("loadavg", lambda: loadavg.read_tasks(top)),
        pid_max=number("kernel/pid_max"),
        threads_max=number("kernel/threads-max"),
        inotify_max_instances=number("fs/inotify/max_user_instances"),
        inotify_max_watches=number("fs/inotify/max_user_watches"),
        epoll_max_watches=number("fs/epoll/max_user_watches"),
    )
