"""How records that programs in C write are described, and unpacked: words of a fixed size, one behind the other, no holes."""

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, takewhile
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

u8 = Annotated[int, "u8", 1]
u16 = Annotated[int, "u16", 1]
u32 = Annotated[int, "u32", 1]
u64 = Annotated[int, "u64", 1]
s32 = Annotated[int, "s32", 1]
s64 = Annotated[int, "s64", 1]
_FORMATS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "s32": "i", "s64": "q"}

Values = tuple[Any, ...]
"""What `layout` unpacks."""

R = TypeVar("R", bound=Values)


@cache
def layout(record: type) -> struct.Struct:
    """Return how a record is unpacked. Arrays come as bytes."""
    return struct.Struct("=" + "".join(_format(*one) for _, one in fields(record)))


def offset_of(record: type, name: str) -> int:
    """Return where in a record a field begins."""
    before = [_format(*one) for _, one in takewhile(lambda each: each[0] != name, fields(record))]
    return struct.calcsize("=" + "".join(before))


def makes(record: type[R]) -> Callable[[Values], R]:
    """Return what makes a record of what its `layout` unpacked: `_make`, without a look at how many figures there are."""
    return partial(tuple.__new__, record)


def packed(kind: type, several: Sequence[Values]) -> bytes:
    """Pack what is in records of one kind, end to end."""
    one = layout(kind).format.removeprefix("=")
    return struct.pack(f"={one * len(several)}", *chain.from_iterable(several))


def figures(packed: bytes) -> tuple[int, ...]:
    """Unpack an array of u32."""
    return _array(len(packed) // 4).unpack(packed)


@cache
def _array(size: int) -> struct.Struct:
    return struct.Struct(f"={size}I")


def fields(record: type) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield the name of each field, and its type in C with how many of it."""
    for name, hint in get_type_hints(record, include_extras=True).items():
        _, kind, many = get_args(hint)
        yield name, (kind, many)


def _format(kind: str, many: int) -> str:
    return _FORMATS[kind] if many == 1 else f"{many * struct.calcsize('=' + _FORMATS[kind])}s"
