"""Standard output and error, for every command: the one place for closed pipes, full disks and other encodings.

Python tells what went wrong with its output late (when it ends) or not at all, and by errors that look like those of any
file a command reads. Here each failed write says whose it was.
"""

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NO_STREAM = -1
_ERRORS = "sockaudit-stand-in"
_STAND_INS = {"·": "-", "→": ">", "…": "~"} | dict.fromkeys("▏▎▍▌▋▊▉█", "#")


class ReaderGoneError(Exception):
    """Whoever reads the output has what it wanted, as `| head` does. No failure."""


class OutputError(Exception):
    """The output cannot be written. The text is one line for a person, with what to do."""


@contextmanager
def checked() -> Iterator[None]:
    """Check every write to stdout, the last one too, before the exit code is settled.

    Raises:
        ReaderGoneError: the pipe was closed. OutputError: the disk is full, or there is no stdout.
    """
    before, number = sys.stdout, _number()
    if number is None:  # a test's own stream
        yield
        return
    if before is not None:
        before.flush()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    codecs.register_error(_ERRORS, _stand_in)
    raw = _Raw(number)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors=_ERRORS,
        line_buffering=raw.isatty(),
    )
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    finally:
        raw.mute()  # Python flushes once more when it lets go of the stream
        sys.stdout = before


def for_programs() -> None:
    """Write what programs read (JSON, YAML, CSV, HTML) in UTF-8, as those formats want it, whatever the terminal's encoding."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def complain(message: str) -> None:
    """Say what went wrong in one line on stderr. Where that cannot be written either, the exit code says it."""
    with suppress(OSError):
        sys.stderr.write(f"sockaudit: {message}\n")
        sys.stderr.flush()


def _number() -> int | None:
    """Return the descriptor behind stdout; `_NO_STREAM` where the shell closed it (`>&-`), `None` where none is needed."""
    if sys.stdout is None:
        return _NO_STREAM
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError):
        return None


class _Raw(io.RawIOBase):
    """Unbuffered stdout. After its first failure it swallows what is still to come: the failure was told."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._muted = False

    def mute(self) -> None:
        self._muted = True

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._number == _NO_STREAM:
            raise OSError("there is no stdout")
        return self._number

    def isatty(self) -> bool:
        return self._number != _NO_STREAM and os.isatty(self._number)

    def write(self, data: bytes) -> int:  # type: ignore[override] # a buffer, of which os.write takes any
        if self._muted:
            return len(data)
        try:
            return os.write(self._number, data)
        except BrokenPipeError:
            self._muted = True
            raise ReaderGoneError from None
        except OSError as error:
            self._muted = True
            why = "it is closed" if self._number == _NO_STREAM else os.strerror(error.errno or 0)
            raise OutputError(f"the output cannot be written: {why}. Send it somewhere else.") from None


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that the terminal's encoding lacks: one for one, so that columns stay."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_STAND_INS.get(char, "?") for char in error.object[error.start : error.end]), error.end
