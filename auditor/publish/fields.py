"""What the fields of the object are made of: names and texts cleaned and bounded, and what is unknown left out."""

from collections.abc import Callable
from typing import Any, TypeVar

from auditor.model import Owner, OwnerKind, PodIdentity
from auditor.model.words import bounded, clean

T = TypeVar("T")
R = TypeVar("R")

NAME_BYTES = 253
TEXT_BYTES = 1024


def names(owner: Owner, identity: PodIdentity | None) -> dict[str, Any]:
    """Say what an owner is called."""
    if owner.kind is OwnerKind.POD:
        return {
            "namespace": maybe(name_of, identity.namespace if identity else None),
            "name": maybe(name_of, identity.name if identity else None),
            "uid": name_of(owner.id),
        }
    return {"name": name_of(owner.id) if owner.id else None}


def name_of(text: str) -> str:
    """Write a name."""
    return bounded(clean(text), NAME_BYTES)


def text_of(text: str) -> str:
    """Write a sentence."""
    return bounded(clean(text), TEXT_BYTES)


def maybe(make: Callable[[T], R], value: T | None) -> R | None:
    """Write what is known."""
    return None if value is None else make(value)


def number_of(maximum: object) -> int | None:
    """Write a limit that is a number."""
    return maximum if isinstance(maximum, int) else None
