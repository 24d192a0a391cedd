"""What the descriptors of an owner were, hour by hour over a day: tells what of them grew since a trend began."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from auditor.model import Kind

HOURS = 24
_SECONDS = 3600.0
_KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Composition:
    """Descriptors by kind at up to 24 moments an hour apart, the oldest first."""

    _moments: tuple[tuple[float, "array[int]"], ...] = ()

    def observe(self, kinds: Mapping[Kind, int], now: float) -> Self:
        """Return it with this moment, if an hour has passed since the last one."""
        if self._moments and now - self._moments[-1][0] < _SECONDS:
            return self
        moment = (now, array("L", [kinds.get(kind, 0) for kind in _KINDS]))
        return type(self)((*self._moments[-HOURS + 1 :], moment))

    def growth(self, kinds: Mapping[Kind, int], since: float) -> dict[Kind, int]:
        """Return by how much each kind has grown since the last moment remembered before `since`, or the first one."""
        if not self._moments:
            return {}
        before = next((values for at, values in reversed(self._moments) if at <= since), self._moments[0][1])
        return {kind: kinds.get(kind, 0) - value for kind, value in zip(_KINDS, before, strict=True)}
