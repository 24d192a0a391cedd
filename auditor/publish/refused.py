"""Rows that the object cannot hold, for a figure in them cannot be: each is left out and said, and takes nothing along."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic import ValidationError

from auditor.model import Gap

T = TypeVar("T")
R = TypeVar("R")


class Refused:
    """Makes rows, and remembers which could not be made."""

    def __init__(self) -> None:
        self._rows: dict[str, list[str]] = {}

    def rows(self, name: str, make: Callable[[T], R], given: Iterable[T]) -> list[R]:
        """Make what can be made of some rows.

        Args:
            name: of the list, as the object has it.
            make: the shape of one.
            given: what they are made of.
        """
        made = []
        for one in given:
            try:
                made.append(make(one))
            except (ValueError, OverflowError, OSError) as error:  # a figure, or a time that no calendar has
                self._rows.setdefault(name, []).append(_clause(error))
        return made

    def gaps(self) -> list[Gap]:
        """Say what is left out, and why the first was."""
        return [
            Gap(f"refused-{name}", f"{name} are left out, for something in them cannot be: {clauses[0]}", len(clauses))
            for name, clauses in self._rows.items()
        ]


def _clause(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
