"""Who is who on this node: one mapping for the attribution, made anew for every sweep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from auditor.kube.pod_logs import pod_logs
from auditor.model import Gap, PodIdentity


class PodSource(Protocol):
    """What keeps pods by the uid their cgroup carries; the pod watch, or a stand-in."""

    @property
    def trouble(self) -> str | None:
        """Why its answer may be missing or old, one clause for a person; `None` while it is fresh."""

    def snapshot(self) -> Mapping[str, PodIdentity]:
        """Return the pods known now, not changed afterwards."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Pods by the uid that their cgroup carries, and what is missing from the names.

    Attributes:
        pods: keyed by uid with dashes; a static pod by its config hash.
        gaps: at most one: the API did not answer, so that names come from the log folder or may be old.
    """

    pods: Mapping[str, PodIdentity]
    gaps: tuple[Gap, ...] = ()


def directory(folder: str, watch: PodSource | None = None) -> Directory:
    """Name the pods of this node: as the API says, from the log folder what the API does not know (any more).

    Args:
        folder: the kubelet's log folder, `/var/log/pods`.
        watch: the pod watch; `None` where no cluster is wanted, which is no gap.
    """
    logged = pod_logs(folder)
    if watch is None:
        return Directory(logged)
    trouble = watch.trouble
    gap = None if trouble is None else Gap("pod-watch", f"Pod names come from {folder} or may be old: {trouble}.")
    return Directory({**logged, **watch.snapshot()}, () if gap is None else (gap,))
