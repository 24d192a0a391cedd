"""Thresholds that take the place of the tables': a file of `LIMIT: {warning: PERCENT, critical: PERCENT}`."""

from collections.abc import Mapping

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from auditor.evaluate import LIMITS
from auditor.model.words import bounded, clean


class ThresholdsError(Exception):
    """The file cannot be used. The text is one line, with what to do."""


class _Threshold(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    warning: int = Field(ge=0, le=100)
    critical: int | None = Field(None, ge=0, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> "_Threshold":
        if self.critical is not None and self.critical < self.warning:
            raise ValueError("critical is below warning")
        return self


class _Thresholds(RootModel[dict[str, _Threshold]]):
    @model_validator(mode="after")
    def _known(self) -> "_Thresholds":
        names = {row.id for row in LIMITS}
        for name in self.root.keys() - names:
            raise ValueError(f"there is no limit {name}; there are {', '.join(sorted(names))}")
        return self


def read_thresholds(path: str) -> Mapping[str, tuple[int, int | None]]:
    """Read a YAML or JSON file.

    Returns:
        (warning, critical) percent by limit id.

    Raises:
        ThresholdsError: not such a file.
    """
    try:
        with open(path, encoding="utf-8") as file:
            rows = _Thresholds.model_validate(yaml.safe_load(file)).root
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ThresholdsError(
            f"{clean(path)} holds no thresholds ({first_complaint(error)}). "
            "Write lines such as process-fds: {warning: 70, critical: 90}."
        ) from None
    return {name: (row.warning, row.critical) for name, row in rows.items()}


def first_complaint(error: Exception) -> str:
    """What is wrong with a document, in one line."""
    if isinstance(error, ValidationError):
        one = error.errors()[0]
        where = ".".join(map(str, one["loc"]))
        return bounded(clean(f"{where}: {one['msg']}" if where else one["msg"]), 500)
    return bounded(clean(str(error).partition("\n")[0]), 200)
