"""What an audit could not see."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that is missing from a sample, published with it.

    Attributes:
        id: kebab-case name, stable across sweeps (`denied-fds`, `pod-names`).
        detail: one sentence for a person: what is missing, why, and what right or version would show it.
        count: how many processes, pods or network namespaces it concerns; `None` where counting makes no sense.
        limits: ids of the limits that cannot be judged while it lasts. Empty when the figures stay whole.
    """

    id: str
    detail: str
    count: int | None = None
    limits: frozenset[str] = field(default_factory=frozenset)
