"""Single fields of an object that anybody may have written: what is missing is unknown, what is no figure is unknown and counted.

Text is cleaned and bounded here, once.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zlib import crc32

from auditor.model.words import bounded, clean
from auditor.publish.when import maybe_epoch

_NAME_BYTES, _TEXT_BYTES = 253, 1024
_ROWS_MAX = 2_000  # of any list of one object
_LARGEST = (1 << 63) - 1


class Figures:
    """Reads the figures of one object, and counts what stands where a figure should and is none."""

    def __init__(self) -> None:
        self.refused = 0

    def __call__(self, value: object) -> int | None:
        """Return a whole number from 0 to 2^63 - 1; some writers make `100.0` of it."""
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and 0 <= value <= _LARGEST:
            return value
        self.refused += value is not None
        return None


def rows(status: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list."""
    found = status.get(key)
    return [row for row in found[:_ROWS_MAX] if isinstance(row, dict)] if isinstance(found, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object; empty where it is none."""
    return value if isinstance(value, dict) else {}


def moment(value: object) -> float | None:
    """Return seconds since the epoch."""
    return maybe_epoch(value) if isinstance(value, str) else None


def text(value: object) -> str:
    """Return text to show; empty where there is none."""
    return _shown(value, _TEXT_BYTES) if isinstance(value, str) else ""


def name(value: object) -> str:
    """Return a name; empty where there is none.

    No apiserver takes a name that has to be cleaned or cut, but a file may hold some. They are told apart by a checksum:
    of things that look alike none may hide the other.
    """
    return _name(value) if isinstance(value, str) else ""


@lru_cache(maxsize=1 << 16)  # names come again on node after node
def _name(value: str) -> str:
    shown = bounded(clean(value[: 4 * _NAME_BYTES]), _NAME_BYTES)
    return shown if shown in ("", value) else f"{shown}~{crc32(value.encode(errors='replace')):08x}"


@lru_cache(maxsize=1 << 12)
def _shown(value: str, most: int) -> str:
    return bounded(clean(value[: 4 * most]), most)
