"""A counter that should stand still: since when it moves, and how fast."""

from dataclasses import dataclass, replace

SUSTAINED_SWEEPS = 3
"""A counter that moved in so many sweeps, with fewer quiet ones in between, moves for good."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Immutable: `observe` returns the next one.

    Attributes:
        total: the counter's last value.
        at: when it was read, in seconds since the epoch.
        since: of the sweep before it began to move.
        lost: by how much it moved since then.
        moved: sweeps in which it did.
        quiet: sweeps since it did.
    """

    total: int
    at: float
    since: float = 0.0
    lost: int = 0
    moved: int = 0
    quiet: int = 0

    def observe(self, total: int, now: float) -> "Rate":
        """Return the rate with one more value. One that is smaller belongs to a new counter: nothing is known of it."""
        if total < self.total:
            return Rate(total, now)
        if total == self.total:
            quiet = self.quiet + 1
            return Rate(total, now, quiet=quiet) if quiet >= SUSTAINED_SWEEPS else replace(self, at=now, quiet=quiet)
        since = self.since if self.moved else self.at
        return Rate(total, now, since, self.lost + total - self.total, self.moved + 1)

    @property
    def over(self) -> bool:
        """Whether it stands still for good."""
        return self.quiet >= SUSTAINED_SWEEPS

    @property
    def sustained(self) -> bool:
        """Whether it moves for good."""
        return self.moved >= SUSTAINED_SWEEPS

    @property
    def per_second(self) -> float:
        """How fast, since it began to move."""
        return self.lost / (self.at - self.since) if self.at > self.since else 0.0
