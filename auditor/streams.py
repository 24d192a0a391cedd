"""Standard output and error, for every command: the one place for closed pipes, full disks and other encodings.

Python tells what went wrong with its output late (when it ends) or not at all, and by errors that look like those of any
file a command reads. Here each failed write says whose it was.
"""

import codecs
import errno
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from auditor.model.fault import CommandError
from auditor.model.words import clean

_ERRORS = "sockaudit-stand-in"
_STAND_INS = {"·": "-", "→": ">", "…": "~"} | dict.fromkeys("▏▎▍▌▋▊▉█", "#")


class ReaderGoneError(Exception):
    """Whoever reads the output has what it wanted, as `| head` does. No failure."""


class OutputError(CommandError):
    """The output cannot be written. The text is one line for a person, with what to do."""


@contextmanager
def checked() -> Iterator[None]:
    """Check every write to stdout, the last one too, before the exit code is settled.

    Raises:
        ReaderGoneError: the pipe was closed. OutputError: the disk is full, or there is no stdout.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    before = sys.stdout
    raw = _raw()
    if raw is None:  # a test's own stream
        yield
        return
    codecs.register_error(_ERRORS, _stand_in)
    encoding = before.encoding if before else "utf-8"
    with _Checked(io.BufferedWriter(raw), encoding, _ERRORS, line_buffering=raw.isatty()) as stream:
        sys.stdout = stream
        try:
            yield
        finally:
            sys.stdout = before
            stream.flush()


def for_programs() -> None:
    """Write what programs read (JSON, YAML, CSV, HTML) in UTF-8, as those formats want it, whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def complain(message: str) -> None:
    """Say what went wrong in one line on stderr. Where that cannot be written either, the exit code says it."""
    with suppress(OSError):
        sys.stderr.write(f"sockaudit: {message}\n")
        sys.stderr.flush()


def complain_of_causes(error: BaseException) -> None:
    """Say what an error came of, the first cause first: its kind, its words, and where in the program it was met."""
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    for one in reversed(chain):
        place = traceback.extract_tb(one.__traceback__)[-1] if one.__traceback__ else None
        where = f" ({os.path.basename(place.filename)}:{place.lineno})" if place else ""
        complain(f"{type(one).__name__}: {clean(str(one))}{where}")


def _raw() -> io.FileIO | None:
    """Return a duplicate of what is behind stdout, or `None` where that is no descriptor.

    Where the shell has closed it (`>&-`) nothing can be written to what is returned.
    """
    if sys.stdout is None:
        return io.FileIO(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), "w")
    try:
        sys.stdout.flush()
        return io.FileIO(os.dup(sys.stdout.fileno()), "w")
    except (AttributeError, OSError):
        return None


class _Checked(io.TextIOWrapper):
    """A stream whose failures are told once; what follows is swallowed.

    The errors are caught here, above the buffer: a signal that comes between a write and the note that it was made would
    make the buffer write twice.
    """

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._tell(error)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> NoReturn:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError from None
        why = "it is closed" if error.errno == errno.EBADF else os.strerror(error.errno or errno.EIO)
        raise OutputError(f"the output cannot be written: {why}. Send it somewhere else.") from None


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that the terminal's encoding lacks: one for one, so that columns stay."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_STAND_INS.get(char, "?") for char in error.object[error.start : error.end]), error.end
