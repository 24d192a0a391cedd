"""The size of the object: 16 KiB as a rule, never over 64 KiB, for every agent's every write lands in one etcd."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from auditor.publish import object as shape

RULE_BYTES = 16 * 1024
HARD_BYTES = 64 * 1024
_ENVELOPE_BYTES = 2 * 1024  # metadata, managed fields, and the counts of what is left out

# What goes first, and how much of it stays for the rule's sake. Findings go last and only when they must: they are
# what a restarted agent remembers.
_ORDER = ("workloads", "listeners", "others", "pods", "limits", "gaps", "findings")
_KEPT: Mapping[str, int] = {"workloads": 20, "listeners": 5, "others": 5, "pods": 10, "limits": 20}


def fit(status: shape.Status, rule: int = RULE_BYTES, hard: int = HARD_BYTES) -> shape.Status:
    """Return the status with rows left out, the least pressing first, until the object is small enough.

    Args:
        status: its lists ordered, the most pressing row first.
        rule: bytes of JSON to stay within while no list falls below its floor.
        hard: bytes of JSON not to exceed whatever it costs.
    """
    rows: dict[str, list[BaseModel]] = {name: list(_rows(status, name)) for name in _ORDER}
    total = _size(status) + _ENVELOPE_BYTES
    for budget, floors in ((rule, _KEPT), (hard, dict.fromkeys(_ORDER, 0))):
        for name in _ORDER:
            while total > budget and len(rows[name]) > floors.get(name, len(rows[name])):
                total -= _size(rows[name].pop()) + 1  # and its comma
    return _with(status, rows)


def _rows(status: shape.Status, name: str) -> Sequence[BaseModel]:
    found: Sequence[BaseModel] = status.coverage.gaps if name == "gaps" else getattr(status, name)
    return found


def _size(part: BaseModel) -> int:
    return len(part.model_dump_json(by_alias=True, exclude_none=True).encode())


def _with(status: shape.Status, rows: Mapping[str, list[BaseModel]]) -> shape.Status:
    changes: dict[str, object] = {}
    for name, kept in rows.items():
        left_out = len(_rows(status, name)) - len(kept)
        if not left_out:
            continue
        if name == "gaps":
            before = status.coverage.gaps_truncated or 0
            update = {"gaps": kept, "gaps_truncated": before + left_out}
            changes["coverage"] = status.coverage.model_copy(update=update)
        else:
            before = getattr(status, f"{name}_truncated") or 0
            changes |= {name: kept, f"{name}_truncated": before + left_out}
    return status.model_copy(update=changes) if changes else status
