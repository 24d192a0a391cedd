"""Visiting network namespaces: one thread that enters each in turn and ends, so that no thread is left abroad.

Looking around at home takes none. Nothing stays open: a netlink socket or directory kept from inside would keep the
namespace alive after its pod.
"""

import ctypes
import errno
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from auditor.kernel.errors import Absent, Denied, Gone, KernelError, Malformed
from auditor.kernel.root import filesystem_magic

CLONE_NEWNET = 0x40000000
NSFS_MAGIC = 0x6E736673

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit(Generic[T]):
    """What came of one visit: a result, or why there is none."""

    inode: int
    result: T | None
    error: KernelError | None = None


def own_inode() -> int | None:
    """Return the inode of the calling thread's network namespace; `None` where /proc is not mounted."""
    try:
        return os.stat("/proc/thread-self/ns/net").st_ino
    except OSError:
        return None


def visit(
    targets: Iterable[tuple[int, Iterable[str]]], work: Callable[[int], T], *, own: int | None
) -> tuple[list[Visit[T]], float]:
    """Do the same work inside each namespace.

    The reader's own is visited first and needs no right; any other needs CAP_SYS_ADMIN.

    Args:
        targets: (inode, paths that lead to it, e.g. /proc/PID/ns/net of several members).
        work: called in the namespace with its inode; may raise `KernelError`.
        own: inode of the caller's namespace.

    Returns:
        A visit for each target, and the CPU seconds that they took in another thread.
    """
    home: list[tuple[int, Iterable[str]]] = []
    abroad: list[tuple[int, Iterable[str]]] = []
    for target in targets:
        (home if target[0] == own else abroad).append(target)
    visits = [_visit_one(inode, paths, work, at_home=True) for inode, paths in home]
    if not abroad:
        return visits, 0.0
    seconds = 0.0
    crash: BaseException | None = None

    def tour() -> None:
        nonlocal seconds, crash
        try:
            for inode, paths in abroad:
                visits.append(_visit_one(inode, paths, work, at_home=False))
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread
            crash = error
        seconds = time.thread_time()

    thread = threading.Thread(target=tour, name="netns")
    try:
        thread.start()
    except RuntimeError as error:  # the node, or the own cgroup, is out of pids
        return [*visits, *(Visit(inode, None, Malformed(str(error))) for inode, _ in abroad)], 0.0
    thread.join()
    if crash is not None:
        raise crash
    return visits, seconds


def _visit_one(inode: int, paths: Iterable[str], work: Callable[[int], T], *, at_home: bool) -> Visit[T]:
    try:
        if not at_home:
            _enter(inode, paths)
        return Visit(inode, work(inode))
    except KernelError as error:
        return Visit(inode, None, error)


def _enter(inode: int, paths: Iterable[str]) -> None:
    error: KernelError = Gone("no process is left in the network namespace")
    for path in paths:
        try:
            fd = _open(inode, path)
        except PermissionError:
            error = Denied(path)
            continue
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError as failed:  # such as a spent budget of descriptors
            error = Malformed(f"{path}: {os.strerror(failed.errno or errno.EIO)}")
            continue
        if fd is None:  # the pid was reused, the process moved on, or something else was mounted there since
            continue
        try:
            _setns(fd)
        finally:
            os.close(fd)
        return
    raise error


def _open(inode: int, path: str) -> int | None:
    """Open a namespace, and nothing else.

    Any user may mount what he likes where his own mounts say that a namespace is. To open a FIFO is to wait for who
    writes into it, and to open a device may set something off: O_PATH finds out what is there without opening it.
    """
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        door = f"/proc/self/fd/{found}"  # leads to what was found, whatever is at the path by now
        if os.fstat(found).st_ino != inode or filesystem_magic(door) != NSFS_MAGIC:
            return None
        return os.open(door, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(found)


def _setns(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET) == 0:
        return
    match ctypes.get_errno():
        case errno.EPERM | errno.EACCES:
            raise Denied("setns")
        case errno.ENOSYS:
            raise Absent("setns")
        case number:
            raise Malformed(f"setns: {os.strerror(number)}")
