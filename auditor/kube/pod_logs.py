"""Pod names from the kubelet's log folder, which needs no API server and outlives an outage of one."""

import os
from typing import Final

from auditor.model import PodIdentity

_LONGEST_ENTRY: Final = 255  # NAME_MAX: what a folder's name may have at most.
_MOST_ENTRIES: Final = 10_000  # Far above the pods of any node; the folder is not ours, so reading it is bounded.


def pod_logs(folder: str) -> dict[str, PodIdentity]:
    """Read `/var/log/pods`: one folder `<namespace>_<name>_<uid>` per pod of this node.

    Source: kubelet, `BuildPodLogsDirectory` (pkg/kubelet/kuberuntime/helpers.go). For a static pod the last part is its
    config hash, which is also what its cgroup carries. Only names are known here: no workload, no containers.

    Returns:
        Identities by that last part; empty when the folder does not exist or may not be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for _, entry in zip(range(_MOST_ENTRIES), entries, strict=False)]
    except OSError:
        return {}
    found = (parse_folder(name) for name in names)
    return {identity.uid: identity for identity in found if identity is not None}


def parse_folder(folder_name: str) -> PodIdentity | None:
    """Take one folder's name apart; `None` for what the kubelet did not name.

    Neither namespaces, nor pod names, nor uids may contain an underscore, so exactly two are expected.
    """
    parts = folder_name.split("_")
    if len(parts) != 3 or not all(parts) or not folder_name.isprintable() or len(folder_name) > _LONGEST_ENTRY:  # noqa: PLR2004
        return None
    namespace, name, uid = parts
    return PodIdentity(namespace=namespace, name=name, uid=uid)
