"""Records that say what they said before: at most nodes most of them do, and then nothing that follows from them changed."""

from collections.abc import Callable
from typing import Generic, TypeVar

R = TypeVar("R")


class Interned(Generic[R]):
    """Makes records, so that one that says, byte for byte, what one of the last pass said is the same object.

    Args:
        make: makes one of its bytes.
    """

    def __init__(self, make: Callable[[bytes], R]) -> None:
        self._make = make
        self._before: dict[bytes, R] = {}
        self._now: dict[bytes, R] = {}

    def begin(self) -> None:
        """Begin a pass."""
        self._before, self._now = self._now, {}

    def of(self, said: bytes) -> R:
        """Return the record."""
        one = self._now[said] = self._before.get(said) or self._make(said)
        return one

    def end(self) -> list[R]:
        """Forget what this pass did not say. Returns what it said, in order."""
        self._before = {}
        return list(self._now.values())
