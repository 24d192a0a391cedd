"""The greatest value of the last seven days, in seven small buckets."""

from dataclasses import dataclass

from auditor.model import Peak

DAY_SECONDS = 86_400
WINDOW_SECONDS = 7 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class PeakWindow:
    """Daily maxima of one figure, the oldest first. A bucket is (day since the epoch, value, when it was seen).

    Attributes:
        since: the first observation still covered, seconds since the epoch.
    """

    since: float
    days: tuple[tuple[int, int, float], ...] = ()

    @classmethod
    def restored(cls, peak: Peak) -> "PeakWindow":
        """Take up a peak that an earlier life of the agent published."""
        return cls(peak.since, ((int(peak.at // DAY_SECONDS), peak.value, peak.at),))

    def observe(self, value: int, now: float) -> "PeakWindow":
        """Return the window with one more observation, without what is older than seven days."""
        since = max(self.since, now - WINDOW_SECONDS)
        today = int(now // DAY_SECONDS)
        days = tuple(bucket for bucket in self.days if bucket[2] >= since)
        if days and days[-1][0] == today:
            if value <= days[-1][1]:
                return self if days == self.days and since == self.since else PeakWindow(since, days)
            days = days[:-1]
        return PeakWindow(since, (*days, (today, value, now)))

    @property
    def peak(self) -> Peak:
        """The greatest of them, the latest when it was reached more than once."""
        _, value, at = max(self.days, key=lambda bucket: (bucket[1], bucket[2]))
        return Peak(value, at, self.since)
