"""The documents of a recording: one a line, or each over several lines as `-o json` indents it. Also from stdin."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from auditor.model import CommandError
from auditor.model.words import clean

STDIN = "-"
_LONGEST = 64 << 20


class RecordingError(CommandError):
    """There is nothing to replay. The text is one line, with what to do."""


def documents(path: str) -> Iterator[tuple[int, str]]:
    """Yield the documents of a file, each with the number of its first line.

    Raises:
        RecordingError: it cannot be read. What goes wrong with a document already yielded is not caught here.
    """
    try:
        with _opened(path) as file:
            yield from joined(iter(lambda: file.readline(_LONGEST), ""))
    except OSError as error:
        raise RecordingError(
            f"{clean(path)} cannot be read: {error.strerror}. Name a file of recorded audits."
        ) from None


def _opened(path: str) -> AbstractContextManager[TextIO]:
    return nullcontext(sys.stdin) if path == STDIN else open(path, encoding="utf-8-sig", errors="replace")


def joined(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Join the lines of an indented object, from `{` alone to `}` alone; every other line is a document of its own."""
    part: list[str] = []
    first = size = 0
    for number, line in enumerate(lines, 1):
        if part:
            part.append(line)
            size += len(line)
            if line.rstrip() == "}" or size > _LONGEST:
                yield first, "".join(part)
                part = []
        elif line.strip() == "{":
            part, first, size = [line], number, len(line)
        elif line.strip():
            yield number, line
    if part:
        yield first, "".join(part)
