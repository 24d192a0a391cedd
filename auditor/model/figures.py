"""Numbers that may be unknown or without end."""

from enum import Enum
from typing import Final, Literal


class Unlimited(Enum):
    """A limit that does not exist: RLIM_INFINITY, `max`, or fs.file-max at 2^63-1."""

    UNLIMITED = "unlimited"


LEAST_OF_A_SAMPLE: Final = 2
"""Fewer of those that were looked at say nothing of how many there are."""

UNLIMITED: Final = Unlimited.UNLIMITED

Limit = int | Literal[Unlimited.UNLIMITED] | None
"""A number, no limit at all, or unknown (`None`)."""


def percent(used: int | None, limit: Limit) -> int | None:
    """The whole percentage of a limit that is used, rounded down; `None` where there is nothing to compare.

    It may pass 100: a soft limit lowered below what a process already holds is a fact, not an error.
    A limit of zero is full as soon as anything is used.
    """
    if used is None or not isinstance(limit, int):
        return None
    if limit <= 0:
        return 100 if used else 0
    return used * 100 // limit
