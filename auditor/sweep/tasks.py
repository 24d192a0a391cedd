"""Cgroups that may have only so many tasks: a pod's, a unit's, or one around many."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from auditor.kernel.errors import Absent, Denied, Gone, KernelError, Malformed
from auditor.kernel.procfs import cgroupfs, mountinfo
from auditor.kernel.root import ProcDirectory, ProcRoot
from auditor.model import UNLIMITED, CgroupTasks, Gap, Limit, cgroup_path
from auditor.sweep.losses import Losses
from auditor.sweep.memory import CgroupMount, Spare
from auditor.sweep.processes import Row

T = TypeVar("T")

CONTROLLER = "pids"


def take(
    root: ProcRoot, rows: Iterable[Row], losses: Losses, spare: Spare
) -> tuple[tuple[CgroupTasks, ...], list[Gap]]:
    """Read every cgroup with a limit that a process is in, or below.

    The cgroup file system is looked for where process 1 has it mounted, else where this process has.

    Args:
        root: the tree the rows were read from.
        rows: all processes.
        losses: where failures are counted.
        spare: which had no limit so recently that they are not asked again.
    """
    places = {row.cgroups for row in rows if not row.kernel_thread}
    paths = {path for place in places if (path := cgroup_path(place, CONTROLLER))}
    if not paths - {"/"}:
        return (), []
    before = spare.memory.cgroup_mount
    known = before if before and spare.rests(before.at) else None
    doors = [1, os.getpid()] if root.own_pids else [1]
    for pid in sorted(doors, key=lambda pid: known is None or pid != known.pid):  # first the one that answered before
        try:
            with root.process(pid) as process:
                mount = known if known and _is_there(known, pid, process) else _mount(pid, process)
                found, unreachable = _Reader(process, mount.point, mount.top, losses, root.live, spare).take(paths)
        except KernelError:
            continue
        spare.memory.cgroup_mount = mount
        return found, [_gap("lie outside of the mounted tree", unreachable)] if unreachable else []
    return (), [_gap("are mounted nowhere that can be reached", len(paths))]


def _gap(why: str, count: int) -> Gap:
    detail = f"limits of tasks of single cgroups (pids.max): their folders {why}; CAP_SYS_PTRACE and hostPID show them"
    return Gap("cgroup-tasks", detail, count, frozenset({"pids"}))


def _is_there(mount: CgroupMount, pid: int, process: ProcDirectory) -> bool:
    """Whether it is this process's, and there still. The list of mounts, which may be very long, is not read for that."""
    return mount.pid == pid and process.stat(f"root{mount.point}").st_dev == mount.device


def _mount(pid: int, process: ProcDirectory) -> CgroupMount:
    """Return where the controller's hierarchy is mounted, and which of its cgroups is on top there.

    A container has its own cgroup on top; one that was given the host's tree besides sees more there.
    """
    mounts = mountinfo.read_cgroups(process)
    fitting = [one for one in mounts if CONTROLLER in one.controllers] or [one for one in mounts if one.unified]
    if not fitting:
        raise Absent("cgroup")
    mount = min(fitting, key=lambda one: len(one.top))
    if "\0" in mount.point:
        raise Malformed("mountinfo")
    device = process.stat(f"root{mount.point}").st_dev
    return CgroupMount(pid, mount.point, mount.top.rstrip("/"), device, time.monotonic())


@dataclass(frozen=True, slots=True)
class _Reader:
    process: ProcDirectory
    point: str
    top: str
    losses: Losses
    live: bool
    spare: Spare

    def take(self, paths: Iterable[str]) -> tuple[tuple[CgroupTasks, ...], int]:
        reachable = [path for path in paths if self._is_reachable(path)]
        folders = {folder for path in reachable for folder in _and_above(path.removeprefix(self.top))}
        unlimited = self.spare.resting(self.spare.memory.unlimited, folders)
        asked = sorted(folders - unlimited.keys())
        limits = [(folder, limit) for folder in asked if (limit := self._limit(folder)) is not None]
        now = time.monotonic()
        self.spare.memory.unlimited = unlimited | {folder: now for folder, limit in limits if limit is UNLIMITED}
        found = [
            one
            for folder, limit in limits
            if isinstance(limit, int) and (one := self._tasks(folder, limit)) is not None
        ]
        return tuple(found), len(set(paths)) - len(reachable)

    def _is_reachable(self, path: str) -> bool:
        """Whether the mount shows it. A reader in a cgroup namespace of its own sees `/..` before what is outside."""
        return "\0" not in path and ".." not in path.split("/") and f"{path}/".startswith(f"{self.top}/")

    def _limit(self, folder: str) -> Limit:
        return self._attempt(lambda: cgroupfs.read_pids_max(self.process, f"{self.point}{folder}"))

    def _tasks(self, folder: str, limit: int) -> CgroupTasks | None:
        tasks = self._attempt(lambda: cgroupfs.read_pids_current(self.process, f"{self.point}{folder}"))
        return None if tasks is None else CgroupTasks(f"{self.top}{folder}", tasks, limit)

    def _attempt(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except (Absent, Gone) as error:
            if not self.live:  # else it was removed meanwhile, with its last process
                self.losses.count("pids.max", error, limits=["pids"])
        except (Denied, Malformed) as error:
            self.losses.count("pids.max", error, limits=["pids"])
        return None


def _and_above(path: str) -> Iterator[str]:
    while path.strip("/"):
        yield path
        path = path.rpartition("/")[0]
