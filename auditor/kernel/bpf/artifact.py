"""The compiled object, and the source that it was made of."""

import hashlib
from pathlib import Path

from auditor.kernel.bpf.header import header
from auditor.kernel.errors import Absent

SOURCE = Path(__file__).with_name("sockaudit.bpf.c")
"""It includes the headers beside it, and records.h, which is made of `records`."""

OBJECT = SOURCE.with_suffix(".o")


def source_digest() -> bytes:
    """Return what stands behind the object, so that programs and records can never be of two versions."""
    parts = [SOURCE, *sorted(SOURCE.parent.glob("*.h"))]
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts) + header().encode()).digest()


def read(path: str) -> bytes:
    """Read an object.

    Raises:
        Absent: it is not there, or was made of another source.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        raise Absent(
            "the programs were not compiled: python -m auditor.kernel.bpf.compile does it, or says why not"
        ) from None
    digest = source_digest()
    if not data.endswith(digest):
        raise Absent("the programs were compiled of another version's source: install again")
    return data.removesuffix(digest)
