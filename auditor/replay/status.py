"""The shape of a recorded status, as far as it is asked for. Figures that another tool left out are unknown."""

import json

from pydantic import BaseModel, Field, model_validator

from auditor.publish import object as shape
from auditor.publish.when import epoch


class Finding(BaseModel):
    """What was found when it was recorded."""

    rule: str


class Gap(BaseModel):
    """What was not seen when it was recorded."""

    id: str = ""
    detail: str = ""
    count: int | None = None
    limits: list[str] = Field(default_factory=list)


class Coverage(BaseModel):
    """How it was recorded, and what was not."""

    interval: float | None = Field(None, alias="effectiveInterval")
    gaps: list[Gap] = Field(default_factory=list)


class Status(BaseModel):
    """A recorded status."""

    observed_at: str = Field(alias="observedAt")
    limits: list[shape.LimitUse] = Field(default_factory=list)
    pods: list[shape.Pod] = Field(default_factory=list)
    others: list[shape.Other] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    coverage: Coverage = Coverage()

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return value | {
            "limits": [_with_state(row) for row in _list(value.get("limits"))],
            "pods": [_with_uid(_with_process(row)) for row in _list(value.get("pods"))],
            "others": [_with_process(row) for row in _list(value.get("others"))],
        }

    @property
    def moment(self) -> float:
        """When it was observed, in whole seconds since the epoch: all that is written down."""
        return epoch(self.observed_at)

    @property
    def pause(self) -> float | None:
        """Seconds to the next one where that is less than one, so that several tell the same second; else `None`."""
        interval = self.coverage.interval
        return None if interval is None or interval >= 1 else max(interval, 0.01)


def parse(text: str) -> tuple[str, Status]:
    """Return the name of the node and its status.

    Raises:
        ValueError, RecursionError: it is none.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("status"), dict):
        raise ValueError("it has no status")  # noqa: TRY004 - of one kind with what json raises
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    status = Status.model_validate(document["status"])
    epoch(status.observed_at)
    return str(name or ""), status


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _with_state(row: object) -> object:
    if not isinstance(row, dict):
        return row
    known = "Unknown" if row.get("limit") is None else "Known"
    return {"scope": "node", "limitState": known} | row


def _with_uid(row: object) -> object:
    return {"uid": f"{row.get('namespace')}/{row.get('name')}"} | row if isinstance(row, dict) else row


def _with_process(row: object) -> object:
    worst = row.get("worstProcess") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(worst, dict):
        return row
    return row | {"worstProcess": {"pid": 0, "command": ""} | worst}
