"""Numbers, durations and names in words: one voice for findings, events, the object and the terminal.

Text from processes, pods and the API is untrusted: `clean` takes its control characters, `bounded` its length.
"""

import unicodedata

from auditor.model.figures import Limit, Unlimited
from auditor.model.usage import Owner, OwnerKind, PodIdentity

ELLIPSIS = "…"
TOWARDS = " → "

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def count(number: int) -> str:
    """A whole number with thousands separators: `53,211`."""
    return f"{number:,}"


def limit(value: Limit) -> str:
    """A limit in words: `65,536`, `unlimited`, `unknown`."""
    if value is None:
        return "unknown"
    return "unlimited" if isinstance(value, Unlimited) else count(value)


def duration(seconds: float) -> str:
    """A span of time in one unit, rounded down: `58 ms`, `45 s`, `31 min`, `2 h`, `9 days`.

    A unit starts at twice its size (`90 min`, not `1 h`), so that rounding never hides more than a third.
    A negative span is none: `0 s`.
    """
    if seconds <= 0:
        return "0 s"
    if seconds < 1:
        return f"{max(1, int(seconds * 1000))} ms"
    for size, unit in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def clean(text: str) -> str:
    """The text in one line, without control, format, surrogate, private or line-separating characters.

    Whitespace becomes a single space; what cannot be shown becomes `?`, so that it is seen to have been there.
    """
    if text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text  # as most is
    shown = ("?" if unicodedata.category(char)[0] == "C" else char for char in " ".join(text.split()))
    return "".join(shown)


def bounded(text: str, maximum: int) -> str:
    """The text in at most `maximum` bytes of UTF-8, cut on a character's border and marked with an ellipsis."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= maximum:
        return encoded.decode()
    mark = ELLIPSIS.encode()
    if maximum < len(mark):
        return encoded[:maximum].decode(errors="ignore")
    return encoded[: maximum - len(mark)].decode(errors="ignore") + ELLIPSIS


def owner_name(owner: Owner | None, identity: PodIdentity | None = None) -> str:
    """What a person calls an owner: `shop/cart-7c9`, `pod 1f2e…` by uid, `kubelet.service`, `container 3f9a`, `host`.

    No owner is the node itself.
    """
    if owner is None:
        return "node"
    if identity is not None:
        return clean(f"{identity.namespace}/{identity.name}")
    match owner.kind:
        case OwnerKind.POD:
            return f"pod {clean(owner.id)}"
        case OwnerKind.UNIT:
            return clean(owner.id)
        case OwnerKind.CONTAINER:
            return f"container {clean(owner.id)[:12]}"
        case OwnerKind.HOST | OwnerKind.KERNEL:
            return owner.kind.value.lower()


def place(scope: str) -> str:
    """The scope of a limit without where its connections go: destinations come and go, and peaks are of the place."""
    return scope.partition(TOWARDS)[0]


def endpoint(address: str, port: int) -> str:
    """Write an address and a port as `10.2.3.4:5432` or `[fd00::1]:5432`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
