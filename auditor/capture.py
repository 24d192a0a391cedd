"""Save what a sweep reads as a recorded tree, for a bug report or a test. Composes the sweep with a recording tree."""

import os
import shlex
from contextlib import suppress
from dataclasses import dataclass

from auditor.kernel import netns
from auditor.kernel.errors import KernelError
from auditor.kernel.procfs.sysctl import host_name
from auditor.kernel.recording import Recording
from auditor.kernel.root import ProcRoot
from auditor.model import CommandError, NodeSample, words
from auditor.sweep import SweepError, namespaces, processes, sweep
from auditor.sweep.losses import Losses
from auditor.sweep.shown import DOORS

__all__ = ["CaptureError", "Captured", "capture"]

_LEFT_OUT = "command lines, environments, file names, sockets by state (no file shows them)"
_UNSEEN = {
    "pid-namespace": "processes outside this PID namespace",
    "pid-max": "kernel.pid_max of the machine",
    "hidden-processes": "processes that do not show",
}
"""By id of a gap, what the copy lacks with it."""


class CaptureError(CommandError):
    """Nothing was saved. The text is one line for a person, with what to do."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What was saved.

    Attributes:
        summary: one line for a person.
        failure: another, if something could not be written; empty otherwise.
    """

    summary: str
    failure: str


def capture(procfs: str, folder: str) -> Captured:
    """Sweep a procfs tree and save what was read.

    Args:
        procfs: the tree.
        folder: made if missing, else empty; becomes readable for its owner alone.

    Raises:
        CaptureError: the folder cannot be used, or the tree is none. Nothing was read.
    """
    made = _prepare(folder)
    recording = Recording(procfs, folder)
    try:
        sample = _sweep(recording)
    except SweepError as error:
        if made:
            with suppress(OSError):
                os.rmdir(folder)
        raise CaptureError(str(error)) from None
    host_name(recording)
    processes = recording.finish({process.pid: process.netns for process in sample.processes})
    files, size = _measure(folder)
    left_out = _LEFT_OUT
    if sample.denied:
        left_out += f", what was refused of {_many(sample.denied)}{'' if os.geteuid() == 0 else ' (root sees all)'}"
    gaps = {gap.id for gap in sample.gaps}
    left_out += "".join(f", {what}" for gap, what in _UNSEEN.items() if gap in gaps)
    if recording.abroad:
        left_out += ", sysctls of the host's network namespace (this process is not known to be in it)"
    return Captured(
        f"saved {_many(processes)} in {words.clean(folder)}, {words.count(files)} files of "
        f"{words.count(size)} bytes; left out: {left_out}; "
        f"replay: sockaudit scan --procfs {words.clean(shlex.quote(folder))}",
        f"{words.count(recording.failures)} files could not be written, such as {words.clean(recording.failure)}"
        if recording.failures
        else "",
    )


def _many(processes: int) -> str:
    return f"{words.count(processes)} {'process' if processes == 1 else 'processes'}"


def _prepare(folder: str) -> bool:
    """Make the folder, unless it is there and can be used; say whether it was made."""
    name = words.clean(folder)
    made = True
    try:
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            made = False
            if os.listdir(folder):
                raise CaptureError(f"{name} is not empty. Name a new or an empty directory.") from None
            if os.stat(folder).st_uid != os.geteuid():  # its owner could lead the files elsewhere
                raise CaptureError(f"{name} belongs to another user. Name a new or an empty directory.") from None
            os.chmod(folder, 0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CaptureError(f"{name} cannot be written to. Name another directory.")
    except OSError as error:
        raise CaptureError(f"{name}: {os.strerror(error.errno or 0)}. Name a new or an empty directory.") from None
    return made


def _sweep(recording: Recording) -> NodeSample:
    """Sweep from within the network namespace of process 1, whose sysctls are wanted; no other's would be the host's."""
    if not recording.mounted:  # they lie in files
        return sweep(recording)
    host, doors = _home(recording.path)
    if host is not None:
        (visit,), _ = netns.visit([(host, doors)], lambda _: sweep(recording), own=netns.own_inode())
        if visit.result is not None:
            return visit.result
    recording.abroad = True
    return sweep(recording)


def _home(path: str) -> tuple[int | None, list[str]]:
    """Return the network namespace of process 1, found as a sweep finds it, and what leads there."""
    root, losses = ProcRoot(path), Losses()
    try:
        rows = processes.take(root, losses)
    except KernelError:  # the sweep will say so
        return None, []
    namespaces.complete(root, rows, losses)
    host = namespaces.of_host(rows)
    return host, [namespaces.door(path, row) for row in rows if row.netns == host][:DOORS]


def _measure(folder: str) -> tuple[int, int]:
    """Return how many files a tree has, links included, and their bytes."""
    sizes = [os.lstat(f"{where}/{name}").st_size for where, _, names in os.walk(folder) for name in names]
    return len(sizes), sum(sizes)
