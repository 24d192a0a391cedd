"""/proc/PID/fdinfo/N, proc_pid_fdinfo(5): what an inotify or epoll descriptor watches, one line each."""

import os
from collections.abc import Callable, Iterable

from auditor.kernel.root import ProcDirectory

INOTIFY_WATCH = b"inotify wd:"
EPOLL_WATCH = b"tfd:"
_CHUNK_BYTES = 1 << 16
_MAYBE_MORE_BYTES = 2048  # the kernel ends a piece early only near a full page


def reduce(lines: Iterable[bytes]) -> bytes:
    """Keep one word of each watch: neither what is watched nor with which data."""
    words = (word for line in lines for word in (INOTIFY_WATCH, EPOLL_WATCH) if line.startswith(word))
    return b"\n".join((b"pos:", *words, b""))


def count_lines(
    process: ProcDirectory, fd: int, word: bytes, task: str = "", *, keep_on: Callable[[], bool] = lambda: True
) -> int | None:
    """Count the lines that begin with a word. Another's process needs CAP_SYS_PTRACE.

    The kernel takes about 3 us for each inotify watch, and there may be 100,000: the file is never held whole.

    Args:
        process: pinned.
        fd: the descriptor.
        word: `INOTIFY_WATCH` or `EPOLL_WATCH`.
        task: `task/TID/` to ask a thread.
        keep_on: asked before each further piece of a long file.

    Returns:
        The count, or `None` when `keep_on` ended it half-way.
    """
    name = f"{task}fdinfo/{fd}"
    file = process.open(name)
    line, count, rest = b"\n" + word, 0, b""
    try:
        data = os.read(file, _CHUNK_BYTES)
        while data:
            data = rest + data
            count += data.count(line)
            rest = data[-len(word) :]
            if len(data) >= _MAYBE_MORE_BYTES and not keep_on():
                return None
            data = os.read(file, _CHUNK_BYTES)
    except OSError as error:
        process.fault(error, name)
    finally:
        os.close(file)
    return count
