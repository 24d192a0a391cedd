"""What one sweep hands to the next."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from auditor.model import Drops, Finding, NodeUsage, Owner, OwnerKind, Peak, QueueUsage, Reading
from auditor.model.words import place
from auditor.remember import shares, stillness
from auditor.remember.composition import Composition
from auditor.remember.peaks import WINDOW_SECONDS, PeakWindow
from auditor.remember.rate import Rate
from auditor.remember.room import share_out
from auditor.remember.series import Series
from auditor.remember.stillness import Still
from auditor.remember.trend import Trend, follow

K = TypeVar("K")

_FORGET_SECONDS = 3600.0
_SERIES_MAX = 2_000  # some five kilobytes each after a day
_RATES_MAX = 2_000
_PEAKS_MAX = 4_000  # scopes come and go with pods; the oldest go first


def reading_id(reading: Reading) -> str:
    """Name a reading: the same limit in the same scope has the same name in every sweep."""
    return f"{reading.limit}/{reading.key}"


@dataclass(frozen=True, slots=True)
class History:
    """Memory between sweeps.

    Attributes:
        findings: the open ones by id.
        percents: the previous sweep's percentages by reading.
        peaks: by limit and scope, without where connections go.
        fds_peaks: the most descriptors of each pod that is still there.
        series: figures whose growth is watched, by reading.
        trends: those that grow.
        compositions: what the descriptors of each owner were.
        shares: what single pods take of each pool at their peak, by (limit, scope).
        queues: of sockets that hold much, since when nothing moved.
        rates: of counters that should stand still.
    """

    findings: Mapping[str, Finding] = field(default_factory=dict)
    percents: Mapping[str, int] = field(default_factory=dict)
    peaks: Mapping[tuple[str, str], PeakWindow] = field(default_factory=dict)
    fds_peaks: Mapping[Owner, PeakWindow] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    trends: Mapping[str, Trend] = field(default_factory=dict)
    compositions: Mapping[Owner, Composition] = field(default_factory=dict)
    shares: Mapping[tuple[str, str], Mapping[Owner, int]] = field(default_factory=dict)
    queues: Mapping[tuple[int, int], Still] = field(default_factory=dict)
    rates: Mapping[str, Rate] = field(default_factory=dict)

    @classmethod
    def restored(
        cls,
        findings: Iterable[Finding],
        peaks: Mapping[tuple[str, str], Peak],
        fds_peaks: Mapping[Owner, Peak],
    ) -> "History":
        """Begin with what the node's own object says. A restored finding stays open until evidence closes it."""
        return cls().take_up(findings, peaks, fds_peaks)

    def take_up(
        self,
        findings: Iterable[Finding],
        peaks: Mapping[tuple[str, str], Peak],
        fds_peaks: Mapping[Owner, Peak],
    ) -> "History":
        """Go on from an earlier life whose memory was found only now.

        Its findings take the place of those found meanwhile: what is still wrong goes on with its old `since`, and what
        only this life has seen opens at the next sweep.
        """
        return replace(
            self,
            findings={finding.id: finding for finding in findings},
            peaks=_joined(self.peaks, peaks),
            fds_peaks=_joined(self.fds_peaks, fds_peaks),
        )

    def observe(self, usage: NodeUsage, readings: Iterable[Reading], now: float) -> "History":
        """Return the history with this sweep's peaks. Findings and percentages are left: the rules still compare them.

        Pods that are gone are forgotten; scopes are kept for seven days, for a node outlives what runs on it.
        """
        readings = tuple(readings)
        peaks = {key: window for key, window in self.peaks.items() if window.peak.at >= now - WINDOW_SECONDS}
        for reading in readings:
            if reading.used is not None:
                key = (reading.limit, place(reading.scope))
                peaks[key] = peaks.get(key, PeakWindow(now)).observe(reading.used, now)
        if len(peaks) > _PEAKS_MAX:
            newest = sorted(peaks, key=lambda key: peaks[key].peak.at)[-_PEAKS_MAX:]
            peaks = {key: peaks[key] for key in newest}
        fds_peaks = {}
        compositions = {
            row.owner: known if row.kinds is None else known.observe(row.kinds, now)
            for row in usage.owners
            for known in [self.compositions.get(row.owner, Composition())]
        }
        for row in usage.owners:
            window = self.fds_peaks.get(row.owner)
            if row.owner.kind is not OwnerKind.POD:
                continue
            if row.fds is not None:
                window = (window or PeakWindow(now)).observe(row.fds, now)
            if window:
                fds_peaks[row.owner] = window
        shares_now = shares.observe(self.shares, readings)
        return replace(self, peaks=peaks, fds_peaks=fds_peaks, compositions=compositions, shares=shares_now)

    def follow(self, readings: Iterable[Reading], now: float) -> "History":
        """Return the history with one more value of each figure whose growth is watched.

        A figure that was not read for an hour is forgotten: its pod is gone. What is read now comes before what is not.
        """
        read = {reading_id(reading): reading for reading in readings if reading.used is not None}
        followed = share_out(((key, one.subject.owner) for key, one in read.items()), self.series, _SERIES_MAX)
        silent = _latest(self.series, read, now, _SERIES_MAX - len(followed))
        series = {key: one for key, one in self.series.items() if key in followed or key in silent}
        trends = {key: trend for key, trend in self.trends.items() if key in series}
        for key, reading in read.items():
            if reading.used is None or key not in followed:
                continue
            series[key] = series.get(key, Series(now)).observe(reading.used, now)
            maximum = reading.maximum if isinstance(reading.maximum, int) else None
            trend = follow(trends.pop(key, None), series[key], maximum)
            if trend:
                trends[key] = trend
        return replace(self, series=series, trends=trends)

    def count(self, counters: Mapping[str, Drops], now: float) -> "History":
        """Return the history with one more value of each counter.

        One that was not read for an hour is forgotten. What is read now comes before what is not.
        """
        followed = share_out(((key, one.subject.owner) for key, one in counters.items()), self.rates, _RATES_MAX)
        silent = _latest(self.rates, counters, now, _RATES_MAX - len(followed))
        rates = {key: rate for key, rate in self.rates.items() if key in silent}
        for key in followed:
            total, known = counters[key].total, self.rates.get(key)
            rates[key] = known.observe(total, now) if known else Rate(total, now)
        return replace(self, rates=rates)

    def watch(self, queues: Iterable[QueueUsage], now: float) -> "History":
        """Return the history with this sweep's queues."""
        return replace(self, queues=stillness.observe(self.queues, queues, now))

    def conclude(self, findings: Iterable[Finding], readings: Iterable[Reading]) -> "History":
        """Return the history that the next sweep starts from."""
        return replace(
            self,
            findings={finding.id: finding for finding in findings},
            percents={reading_id(reading): percent for reading in readings if (percent := reading.percent) is not None},
        )


def _latest(known: Mapping[str, Series] | Mapping[str, Rate], read: Container[str], now: float, room: int) -> set[str]:
    """Choose what is remembered of what was not read now: of the last hour, what was read last."""
    silent = [key for key, one in known.items() if key not in read and now - one.at < _FORGET_SECONDS]
    return set(sorted(silent, key=lambda key: -known[key].at)[:room])


def _joined(windows: Mapping[K, PeakWindow], restored: Mapping[K, Peak]) -> dict[K, PeakWindow]:
    joined = {key: PeakWindow.restored(peak) for key, peak in restored.items()}
    for key, window in windows.items():
        joined[key] = joined[key].observe(window.peak.value, window.peak.at) if key in joined else window
    return joined
