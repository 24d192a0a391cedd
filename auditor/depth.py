"""One port or one pod of this machine, in depth. Composes the stages, for a person who asks."""

import json
import sys

from auditor.attribute import locate, name_all
from auditor.kernel.errors import KernelError
from auditor.kernel.root import ProcRoot
from auditor.kube.pod_logs import pod_logs
from auditor.model import CommandError, OwnerKind, PodIdentity
from auditor.model.words import clean
from auditor.publish.console import new_console
from auditor.publish.depth import render
from auditor.publish.depth_document import document
from auditor.sweep import depth

_FIXED_COLUMNS = 140  # in a pipe


class DepthError(CommandError):
    """There is nothing to look at. The text is one line for a person, with what to do."""


def show(  # noqa: PLR0913 - what the command line says
    *, procfs: str, folder: str, pod: str | None, port: int | None, output: str, all_rows: bool
) -> None:
    """Print what is known of a port or a pod.

    Args:
        procfs: the live /proc.
        folder: where pod names come from.
        pod: NAMESPACE/NAME, or a uid.
        port: local, TCP or UDP.
        output: table or json.
        all_rows: every peer and socket of the table.

    Raises:
        DepthError: no such pod, or no live procfs.
    """
    root = ProcRoot(procfs)
    if not root.live:
        raise DepthError(
            f"{clean(procfs)} is no live procfs, so no kernel answers: leave --procfs out on the machine itself"
        )
    directory = pod_logs(folder)
    try:
        if port is not None:
            title, found = f"port {port}", depth.of_port(root, port)
        else:
            title, uids = _pod(pod or "", directory)
            found = depth.of_processes(root, lambda row: _is_of(row.cgroups, uids))
    except KernelError as error:
        raise DepthError(f"{clean(procfs)} cannot be read: {error}") from None
    if pod is not None and not any(_is_of(one.cgroups, uids) for one in found.processes.values()):
        raise DepthError(
            f"no process of pod {clean(pod)} runs on this machine. sockaudit scan --all lists those that do."
        )
    named = name_all(found.processes.values(), directory, found.host_netns)
    if output == "json":
        json.dump(document(title, found, named), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    render(title, found, named, new_console(_FIXED_COLUMNS), all_rows=all_rows)


def _pod(wanted: str, directory: dict[str, PodIdentity]) -> tuple[str, set[str]]:
    uids = {uid for uid, identity in directory.items() if wanted == f"{identity.namespace}/{identity.name}"}
    return f"pod {wanted}", uids or {wanted}


def _is_of(cgroups: tuple[tuple[str, str], ...], uids: set[str]) -> bool:
    owner = locate(cgroups).owner
    return owner.kind is OwnerKind.POD and owner.id in uids
