"""The records in C: with an assertion of each size, so that both sides agree or nothing is compiled."""

from collections.abc import Iterator

from auditor.kernel import outside
from auditor.kernel.bpf import records
from auditor.kernel.bpf.layout import fields, layout

_IN_C: dict[type, str] = {
    records.Settings: "settings",
    records.Task: "task",
    records.Sums: "sums",
    records.Several: "several",
    records.Held: "held",
    records.Named: "named",
    records.Lesson: "lesson",
    records.Charged: "budget",
    records.Stranger: "stranger",
    records.StrangersOf: "strangers_of",
    records.Port: "port",
    records.Accepted: "accepted",
    records.Peer: "peer",
    records.PeerOf: "peer_of",
    records.OwnRange: "own_range",
}


def header() -> str:
    """Return records.h."""
    lines = [
        "// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0",
        "// Written by compile.py from records.py.",
        "#pragma once",
    ]
    lines += [f"#define {name} {value}" for name, value in records.CONSTANTS.items()]
    lines.append(outside.in_c())
    for record, name in _IN_C.items():
        lines += _in_c(record, name)
    return "\n".join(lines) + "\n"


def _in_c(record: type, name: str) -> Iterator[str]:
    yield f"struct {name} {{"
    for field, (kind, many) in fields(record):
        yield f"\t{kind} {field}{f'[{many}]' if many > 1 else ''};"
    yield "};"
    yield f'_Static_assert(sizeof(struct {name}) == {layout(record).size}, "{name} has holes");'
