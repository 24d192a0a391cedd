"""What single pods take of the pools they share, each at its peak while it lives."""

from collections.abc import Iterable, Mapping

from auditor.model import Owner, PodShare, Reading

Key = tuple[str, str]
"""Limit and scope."""


def observe(before: Mapping[Key, Mapping[Owner, int]], readings: Iterable[Reading]) -> dict[Key, Mapping[Owner, int]]:
    """Return the peaks with this sweep's figures. A pod that is gone, or takes none any more, is forgotten."""
    peaks: dict[Key, Mapping[Owner, int]] = {}
    for reading in readings:
        if reading.pods:
            earlier = before.get((reading.limit, reading.scope), {})
            peaks[reading.limit, reading.scope] = {
                owner: max(taken, earlier.get(owner, 0)) for owner, taken in reading.pods.items()
            }
    return peaks


def summed(peaks: Mapping[Key, Mapping[Owner, int]]) -> dict[Key, PodShare]:
    """Return the shares of each pool."""
    return {key: _share(sorted(of_pods.values())) for key, of_pods in peaks.items() if of_pods}


def _share(figures: list[int]) -> PodShare:
    """Percentiles by nearest rank: the smallest figure that so many of the pods do not exceed."""
    number = len(figures)
    return PodShare(number, figures[-(-50 * number // 100) - 1], figures[-(-90 * number // 100) - 1], figures[-1])
