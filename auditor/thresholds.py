"""Thresholds in place of the tables': from a file, for all nodes or for those with certain labels.

    - limits: {process-fds: {warning: 70, critical: 90}}
    - nodeSelector: {pool: batch}
      limits: {pids: {warning: 90}}

Where several entries name a limit, the last one whose selector matches wins. A file with one entry for all nodes may be
its `limits` alone. Without `critical` the table's stays. For a limit that binds only itself a pod may ask for others by
annotation, as in `sockaudit.io/process-fds: 70/90`.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from auditor.evaluate import LIMITS
from auditor.model import CommandError, Owner, OwnerUsage
from auditor.model.words import bounded, clean, owner_name

_MAXIMUM_BYTES = 1 << 20
_TABLE = {row.id: row for row in LIMITS}
_OF_A_POD = frozenset({"process", "pod", "netns", "listener"})
_WISH = re.compile(r"(\d{1,3})(?:/(\d{1,3}))?")

Percents = Mapping[str, tuple[int, int | None]]
"""(warning, critical) by limit id."""


class ThresholdsError(CommandError):
    """The file cannot be used. The text is one line, with what to do."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class _Percents(_Shape):
    warning: int = Field(ge=0, le=100)
    critical: int | None = Field(None, ge=0, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> "_Percents":
        if self.critical is not None and self.critical < self.warning:
            raise ValueError("critical is below warning")
        return self

    def of(self, limit: str) -> tuple[int, int | None]:
        critical = _TABLE[limit].critical if self.critical is None else self.critical
        return self.warning, None if critical is None else max(critical, self.warning)


class _Entry(_Shape):
    node_selector: dict[str, str] = Field(default_factory=dict)
    limits: dict[str, _Percents]

    @field_validator("limits")
    @classmethod
    def _known(cls, limits: dict[str, _Percents]) -> dict[str, _Percents]:
        for name in limits.keys() - _TABLE.keys():
            raise ValueError(f"there is no limit {name}; there are {', '.join(sorted(_TABLE))}")
        return limits


_ENTRIES = TypeAdapter(list[_Entry])


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a file says."""

    _entries: tuple[_Entry, ...] = ()

    def of(self, labels: Mapping[str, str]) -> Percents:
        """Return those of a node with these labels."""
        found: dict[str, tuple[int, int | None]] = {}
        for entry in self._entries:
            if entry.node_selector.items() <= labels.items():
                found |= {name: row.of(name) for name, row in entry.limits.items()}
        return found


def read_thresholds(path: str) -> Thresholds:
    """Read a YAML or JSON file.

    Raises:
        ThresholdsError: it is not there, or says something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            document = yaml.safe_load(file.read(_MAXIMUM_BYTES))
        entries = _ENTRIES.validate_python(document if isinstance(document, list) else [{"limits": document}])
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ThresholdsError(
            f"{clean(path)} holds no thresholds ({complaint(error)}). "
            "Write lines such as process-fds: {warning: 70, critical: 90}."
        ) from None
    return Thresholds(tuple(entries))


def complaint(error: Exception) -> str:
    """What is wrong with a document, in one line."""
    if isinstance(error, ValidationError):
        one = error.errors()[0]
        where = ".".join(str(part) for part in one["loc"])
        return bounded(clean(f"{where}: {one['msg']}" if where else one["msg"]), 500)
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return bounded(clean(str(error).partition("\n")[0]), 200)


@dataclass(slots=True)
class Watched:
    """A file that may change at any time, as a mounted ConfigMap does. While it is bad, what it last said stays in force.

    Attributes:
        trouble: why it cannot be used just now; `None` when it can.
    """

    path: str | None
    trouble: str | None = None
    _good: Thresholds = field(default_factory=Thresholds)
    _read: tuple[int, int, int] | None = None

    def of(self, labels: Mapping[str, str]) -> Percents:
        """Return what is in force on a node with these labels, reading the file anew if it changed."""
        if self.path is not None:
            self._refresh(self.path)
        return self._good.of(labels)

    def _refresh(self, path: str) -> None:
        try:
            about = os.stat(path)
            version = (about.st_ino, about.st_mtime_ns, about.st_size)
            if version != self._read or self.trouble:
                self._good, self._read, self.trouble = read_thresholds(path), version, None
        except (OSError, ThresholdsError) as error:
            self.trouble = str(error) if isinstance(error, ThresholdsError) else f"{clean(path)}: {complaint(error)}"


@dataclass(slots=True)
class Wishes:
    """What pods ask for by annotation. A bad one changes nothing: the pod's last good one stays in force.

    Only the pod's own limits can be asked for: nobody mutes a pool that others share.

    Attributes:
        complaints: bad ones of this turn, one line each.
    """

    complaints: list[str] = field(default_factory=list)
    _good: dict[tuple[Owner, str], tuple[int, int | None]] = field(default_factory=dict)

    def of(self, owners: Iterable[OwnerUsage]) -> Mapping[Owner, Percents]:
        """Return what is in force for the limits of these pods."""
        self.complaints = []
        found: dict[Owner, dict[str, tuple[int, int | None]]] = {}
        for row in owners:
            for limit, text in (row.identity.wishes if row.identity else {}).items():
                percents = self._good.get((row.owner, limit))
                try:
                    percents = _wish(limit, text)
                except ValueError as error:
                    name = owner_name(row.owner, row.identity)
                    self.complaints.append(bounded(clean(f"{name}: sockaudit.io/{limit}: {complaint(error)}"), 500))
                if percents:
                    found.setdefault(row.owner, {})[limit] = percents
        self._good = {(owner, limit): percents for owner, rows in found.items() for limit, percents in rows.items()}
        return found


def _wish(limit: str, text: str) -> tuple[int, int | None]:
    row = _TABLE.get(limit)
    if row is None:
        raise ValueError("there is no such limit")
    if not _OF_A_POD & set(row.scope.split(", ")):
        raise ValueError("others share this pool, so only the chart sets its thresholds")
    percents = _WISH.fullmatch(text)
    if percents is None:
        raise ValueError(f"{text!r} is neither a percentage nor two, as in 70/90")
    warning, critical = percents.groups()
    return _Percents(warning=int(warning), critical=None if critical is None else int(critical)).of(limit)
