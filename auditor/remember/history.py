"""What one sweep hands to the next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from auditor.model import Finding, NodeUsage, Owner, OwnerKind, Peak, Reading
from auditor.remember.peaks import WINDOW_SECONDS, PeakWindow

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
        peaks: by (limit, scope).
        fds_peaks: the most descriptors of each pod that is still there.
    """

    findings: Mapping[str, Finding] = field(default_factory=dict)
    percents: Mapping[str, int] = field(default_factory=dict)
    peaks: Mapping[tuple[str, str], PeakWindow] = field(default_factory=dict)
    fds_peaks: Mapping[Owner, PeakWindow] = field(default_factory=dict)

    @classmethod
    def restored(
        cls,
        findings: Iterable[Finding],
        peaks: Mapping[tuple[str, str], Peak],
        fds_peaks: Mapping[Owner, Peak],
    ) -> "History":
        """Begin with what the node's own object says. A restored finding stays open until evidence closes it."""
        return cls(
            findings={finding.id: finding for finding in findings},
            peaks={key: PeakWindow.restored(peak) for key, peak in peaks.items()},
            fds_peaks={owner: PeakWindow.restored(peak) for owner, peak in fds_peaks.items()},
        )

    def observe(self, usage: NodeUsage, readings: Iterable[Reading], now: float) -> "History":
        """Return the history with this sweep's peaks. Findings and percentages are left: the rules still compare them.

        Pods that are gone are forgotten; scopes are kept for seven days, for a node outlives what runs on it.
        """
        peaks = {key: window for key, window in self.peaks.items() if window.peak.at >= now - WINDOW_SECONDS}
        for reading in readings:
            if reading.used is not None:
                key = (reading.limit, reading.scope)
                peaks[key] = peaks.get(key, PeakWindow(now)).observe(reading.used, now)
        if len(peaks) > _PEAKS_MAX:
            newest = sorted(peaks, key=lambda key: peaks[key].peak.at)[-_PEAKS_MAX:]
            peaks = {key: peaks[key] for key in newest}
        fds_peaks = {}
        for row in usage.owners:
            window = self.fds_peaks.get(row.owner)
            if row.owner.kind is not OwnerKind.POD:
                continue
            if row.fds is not None:
                window = (window or PeakWindow(now)).observe(row.fds, now)
            if window:
                fds_peaks[row.owner] = window
        return replace(self, peaks=peaks, fds_peaks=fds_peaks)

    def conclude(self, findings: Iterable[Finding], readings: Iterable[Reading]) -> "History":
        """Return the history that the next sweep starts from."""
        return replace(
            self,
            findings={finding.id: finding for finding in findings},
            percents={reading_id(reading): percent for reading in readings if (percent := reading.percent) is not None},
        )
