"""Reading saved objects: `kubectl get sockaudits -o json`, one object, or one object a line. One object in memory at a time."""

import io
import json
import math
from collections.abc import Iterable, Iterator
from typing import TextIO

from auditor.model.words import bounded, clean

STDIN = "-"

_PIECE = 1 << 20
_LONGEST_OBJECT = 16 << 20  # etcd holds none above 1.5 MiB; kubectl indents it
_OF_AN_OBJECT = ("spec", "status")  # what a list never has
_LONGEST_FIGURE = 30  # digits
_SPACES = " \t\r\n"
_SAVE = "kubectl get sockaudits -o json"
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # as PowerShell writes it
_YAML = ("apiVersion:", "items:", "kind:", "metadata:", "---")


class FileError(Exception):
    """A file cannot be read. The text is one line for a person, with what to do."""


class _UnlikeError(ValueError):
    """It is something else than JSON. The text is one clause, with what to do."""


def shown(path: str) -> str:
    """Write a path, or what `-` stands for."""
    return "stdin" if path == STDIN else bounded(clean(path), 300)


def objects(path: str) -> Iterator[object]:
    """Yield the objects of a file, or of stdin where the path is `-`.

    Raises:
        FileError: it cannot be opened, or is no whole JSON.
    """
    name = shown(path)
    try:
        with open(0 if path == STDIN else path, "rb", closefd=path != STDIN) as file:
            yield from _objects(file)
    except OSError as error:
        raise FileError(f"{name} cannot be read: {error.strerror}. Save one with {_SAVE} > FILE.") from None
    except RecursionError:
        raise FileError(f"{name} is nested too deeply to be a list of SockAudits.") from None
    except _UnlikeError as error:
        raise FileError(f"{name} {error}.") from None
    except ValueError as error:
        raise FileError(
            f"{name} is no whole JSON ({error}): it may be half written. Save it again with {_SAVE}."
        ) from None


def _objects(file: io.BufferedReader) -> Iterator[object]:
    head = file.peek(2)[:2]
    if head == _GZIP:
        raise _UnlikeError("is compressed with gzip: gunzip it first")
    encoding = "utf-16" if head in _UTF_16 else "utf-8-sig"
    with io.TextIOWrapper(file, encoding=encoding, errors="replace") as text:
        yield from _Reader(text).objects()


class _Reader:
    """Reads pieces of text, and objects from them."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._read = 0
        self._decode = json.JSONDecoder(parse_int=_integer).raw_decode

    def objects(self) -> Iterator[object]:
        """Yield the items of lists and all other objects at the top."""
        if not self._next():
            raise ValueError("it is empty")
        if self._text.startswith(_YAML, self._at):
            raise _UnlikeError(f"is YAML: save JSON with {_SAVE}")
        while char := self._next():
            if char == "[":
                self._at += 1
                for value in self._items():
                    yield from _listed(value)
            elif self._enters_list():
                yield from self._items()
                self._leave()
            else:
                yield from _listed(self._value())

    def _enters_list(self) -> bool:
        """Whether a list of objects begins here: then go to its first item. What else it says of itself is skipped."""
        if self._text[self._at] != "{":
            return False
        begin, self._at = self._at, self._at + 1
        while self._next() == '"':
            key = self._value()
            self._expect(":")
            self._next()
            if key == "items" and self._text[self._at] == "[":
                self._drop(self._at + 1)
                return True
            if key in _OF_AN_OBJECT:
                break
            self._value()
            if self._next() != ",":
                break
            self._at += 1
        self._at = begin
        return False

    def _items(self) -> Iterator[object]:
        while True:
            char = self._next()
            if char == "]":
                self._at += 1
                return
            yield self._value()
            self._drop(self._at)
            if self._next() == ",":
                self._at += 1
            elif self._text[self._at : self._at + 1] != "]":
                raise self._broken("a comma or the end of the list is missing")

    def _leave(self) -> None:
        """Skip what follows the items of a list."""
        while self._next() == ",":
            self._at += 1
            self._next()
            self._value()
            self._expect(":")
            self._next()
            self._value()
        self._expect("}")

    def _value(self) -> object:
        """Decode one value, reading on for as long as it is not whole."""
        want = _PIECE
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > _LONGEST_OBJECT:
                    raise _UnlikeError(
                        f"holds an object of more than {_LONGEST_OBJECT >> 20} MiB, which no SockAudit has"
                    ) from None
                if not self._more(want):
                    raise self._broken(error.msg) from None
                want *= 2
                continue
            if end == len(self._text) and self._more(want):  # a figure may go on
                continue
            self._at = end
            return value

    def _next(self) -> str:
        """Go to the next character that is no space, and return it; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACES:
                    return self._text[self._at]
                self._at += 1
            if not self._more(_PIECE):
                return ""

    def _expect(self, char: str) -> None:
        if self._next() != char:
            raise self._broken(f"{char} is missing")
        self._at += 1

    def _more(self, size: int) -> bool:
        piece = self._file.read(size)
        self._text += piece
        self._read += len(piece)
        return bool(piece)

    def _drop(self, until: int) -> None:
        """Let go of the text that is done with, now and then."""
        self._at = until
        if self._at > _PIECE:
            self._text, self._at = self._text[self._at :], 0

    def _broken(self, why: str) -> ValueError:
        return ValueError(f"{why} near character {self._read - len(self._text) + self._at:,}")


def _listed(value: object) -> Iterable[object]:
    """Return the items of a list, none where they are null, and anything else as it is."""
    if isinstance(value, dict) and "items" in value and "status" not in value:
        items = value["items"]
        return [] if items is None else items if isinstance(items, list) else [value]
    return [value]


def _integer(digits: str) -> float:
    """Python refuses to convert thousands of digits; no figure of an object has that many, so it is none."""
    return int(digits) if len(digits) <= _LONGEST_FIGURE else math.nan
