"""What an installation has the rights to: the security profiles of the chart."""

from dataclasses import dataclass

from auditor.evaluate import LIMITS

_ALL = frozenset(row.id for row in LIMITS)
ANY_USER = frozenset({"file-handles", "pids", "threads"})
"""Limits whose use and maximum every user may read, of every process."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One of them.

    Attributes:
        confined: whether all capabilities are given up once the BPF programs are loaded.
        promised: limits that can be judged; one of these that cannot makes the verdict Unknown.
    """

    confined: bool
    promised: frozenset[str]


PROFILES = {
    "privileged": Profile(confined=False, promised=_ALL),
    "minimal": Profile(confined=True, promised=_ALL),
    "unprivileged": Profile(confined=False, promised=ANY_USER),
}
