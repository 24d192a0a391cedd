"""Which owner is under, or causes, most pressure."""

from collections.abc import Iterable, Mapping

from auditor.evaluate import LIMITS, MOMENTARY
from auditor.model import Assessment, NodeUsage, Owner, OwnerUsage, percent

_OWN = "process-fds"


def pressure(usage: NodeUsage, assessment: Assessment) -> Mapping[Owner, int]:
    """Return the pressure of each owner in percent: the highest of its own uses and of its shares in pools over warning."""
    table = {row.id: (row.warning, row.critical) for row in LIMITS}
    strain = {
        row.owner: (row.worst.percent or 0) if row.worst and not row.worst.lowered_itself else 0 for row in usage.owners
    }
    found = {(finding.limit, finding.scope) for finding in assessment.findings}
    for reading in assessment.readings:
        if reading.limit in MOMENTARY and (reading.limit, reading.scope) not in found:
            continue
        owner = reading.subject.owner
        if owner in strain and reading.percent is not None:
            strain[owner] = max(strain[owner], reading.percent)
        warning, _ = assessment.thresholds.get((reading.limit, reading.scope), table[reading.limit])
        if reading.limit == _OWN or reading.percent is None or reading.percent < warning:
            continue
        for share in reading.consumers:
            if share.owner in strain and share.unit is None:
                strain[share.owner] = max(strain[share.owner], percent(share.used, reading.maximum) or 0)
    return strain


def ranked(rows: Iterable[OwnerUsage], strain: Mapping[Owner, int]) -> list[OwnerUsage]:
    """Order owners by pressure, the greatest first; ties by descriptors."""
    return sorted(rows, key=lambda row: (-strain.get(row.owner, 0), -(row.fds or 0), row.owner))
