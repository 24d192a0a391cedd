"""Save what a sweep reads as a recorded tree, for a bug report or a test. Composes the sweep with a recording tree."""

import os
import shlex
from contextlib import suppress
from dataclasses import dataclass

from auditor.kernel import netns
from auditor.kernel.procfs.sysctl import host_name
from auditor.kernel.recording import Recording
from auditor.model import CommandError, NodeSample, words
from auditor.sweep import SweepError, sweep

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
        sample, at_home = _sweep(recording)
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
    if not at_home:
        left_out += ", sysctls of the host's network namespace (sys/net is this process's own)"
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


def _sweep(recording: Recording) -> tuple[NodeSample, bool]:
    """Sweep from within the network namespace of process 1, whose sysctls are wanted.

    Returns:
        The sample, and whether it could be entered, or need not be.
    """
    door = f"{recording.path}/1/ns/net"
    try:
        host = os.stat(door).st_ino
    except OSError:  # then sysctls of no network namespace are read
        return sweep(recording), True
    (visit,), _ = netns.visit([(host, [door])], lambda _: sweep(recording), own=netns.own_inode())
    return (sweep(recording), False) if visit.result is None else (visit.result, True)


def _measure(folder: str) -> tuple[int, int]:
    """Return how many files a tree has, links included, and their bytes."""
    sizes = [os.lstat(f"{where}/{name}").st_size for where, _, names in os.walk(folder) for name in names]
    return len(sizes), sum(sizes)
