"""The reference page, made from what runs: `python -m auditor.publish.reference > docs/reference.md`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from inspect import getdoc
from typing import Any

from auditor.evaluate import DROPS, LEAKS, LIMITS, stuck
from auditor.evaluate.leaks import WARNING_PERCENT, WARNING_SECONDS
from auditor.evaluate.limits import URGENT_PERCENT, LimitRow
from auditor.evaluate.rules import HYSTERESIS_POINTS
from auditor.publish.crd import definition, schema
from auditor.publish.object import GROUP, KIND, PLURAL, VERSION
from auditor.remember.rate import SUSTAINED_SWEEPS

_HEAD = f"""\
# Reference

Made by `python -m auditor.publish.reference`; the same model makes the CustomResourceDefinition, and the same tables
are in force in the agent.

- [The object](#the-object): every field of `{KIND}`
- [Limits](#limits): what is audited, and when it is too full
- [Rules](#rules): each finding, which is also the reason of its events

## The object

`{GROUP}/{VERSION}`, kind `{KIND}`: one for each node, named after it, not in a namespace. The agent writes `status`.
A field that is absent is unknown; unknown is never zero. A list that is cut short says by how much.
"""


def page() -> str:
    """Return the page in Markdown."""
    return "\n".join([_HEAD, *_columns(), *_object(), *_limits(), *_rules()])


def _columns() -> Iterator[str]:
    version = definition()["spec"]["versions"][0]
    yield f"`kubectl get {PLURAL}` shows (the last ones with `-o wide`):\n"
    yield from _table(
        ("Column", "From", "Meaning"),
        [
            (column["name"], f"`{column['jsonPath'].replace('|', chr(92) + '|')}`", column["description"])
            for column in version["additionalPrinterColumns"]
        ],
    )


def _object() -> Iterator[str]:
    explained: dict[str, str] = {}
    root = schema()
    for part in ("spec", "status"):
        yield from _fields(part, root["properties"][part], explained)


def _fields(path: str, node: Mapping[str, Any], explained: dict[str, str]) -> Iterator[str]:
    """One section for each object; a shape that came before is only pointed to."""
    shape = repr(node)
    if shape in explained:
        yield f"### {path}\n\nAs [{explained[shape]}](#{_anchor(explained[shape])}).\n"
        return
    explained[shape] = path
    yield f"### {path}\n\n{node.get('description', '')}\n"
    required = set(node.get("required", ()))
    inner: list[tuple[str, Mapping[str, Any]]] = []
    rows = []
    for name, field in node["properties"].items():
        target, suffix = (field["items"], "[]") if field["type"] == "array" else (field, "")
        if target["type"] == "object":
            inner.append((f"{path}.{name}{suffix}", target))
        rows.append((f"`{name}`", _type(field), "yes" if name in required else "", field.get("description", "")))
    yield from _table(("Field", "Type", "Always", "Meaning"), rows)
    for inner_path, field in inner:
        yield from _fields(inner_path, field, explained)


def _type(field: Mapping[str, Any]) -> str:
    if field["type"] == "array":
        return f"list of {_type(field['items'])}, at most {field['maxItems']}"
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    return "time" if field.get("format") == "date-time" else str(field["type"])


def _limits() -> Iterator[str]:
    yield "## Limits\n"
    yield from _table(
        ("Limit", "Scope", "What is compared", "Warning", "Critical", "Condition", "Rule"),
        [
            (
                f"`{row.id}`",
                row.scope,
                row.title,
                f"{row.warning} %",
                _critical(row),
                "-" if row.condition is None else f"`{row.condition}`",
                f"[{row.rule}](#{_anchor(row.rule)})",
            )
            for row in LIMITS
        ],
    )
    yield (
        f"A finding closes {HYSTERESIS_POINTS} points below the percentage that opened it. An unknown figure neither "
        f"opens nor closes anything. What is about one owner, not the node, takes two sweeps in a row below "
        f"{URGENT_PERCENT} %.\n"
    )


def _critical(row: LimitRow) -> str:
    return "-" if row.critical is None else f"{row.critical} %"


def _rules() -> Iterator[str]:
    yield "## Rules\n"
    for row in LIMITS:
        unless = "" if row.urgent is None else f", unless the use is at {row.urgent} % or more"
        steady = f" It takes two sweeps in a row{unless}." if row.steady else ""
        critical = "" if row.critical is None else f", Critical at {row.critical} %"
        yield f"### {row.rule}\n"
        yield f"{_sentence(row.title)} Warning at {row.warning} %{critical}.{steady}\n"
        yield f"To change: {getdoc(row.remedy)}\n"
    for leak in LEAKS:
        yield f"### {leak.rule}\n"
        yield (
            f"{_sentence(leak.title)} Info, without an event, until {WARNING_PERCENT} % of the limit is used or its end "
            f"is within {WARNING_SECONDS // 3600:.0f} h; then Warning, once the line is clear: for hours, or nearer to its "
            "end than to its begin. It closes when growth was not seen for an hour, or at once when what leaked is given "
            "back.\n"
        )
        yield f"To change: {getdoc(leak.remedy)}\n"
    for drop in DROPS:
        yield f"### {drop.rule}\n"
        yield (
            f"{_sentence(drop.title)} Warning once the counter moved in {SUSTAINED_SWEEPS} sweeps, with fewer quiet ones in "
            f"between; closes after {SUSTAINED_SWEEPS} quiet ones.\n"
        )
        yield f"To change: {getdoc(drop.remedy)}\n"
    yield f"### {stuck.RULE}\n"
    yield f"{_sentence(stuck.TITLE)} One finding for each owner, Warning; it closes when they move.\n"
    yield f"To change: {getdoc(stuck.remedy)}\n"
    yield "### AuditIncomplete\n"
    yield (
        "A limit that this installation promises to read could not be read, so the verdict is Unknown unless something "
        "worse is known. Severity Info: no event.\n"
    )
    yield "To change: `status.coverage.gaps` names the right or the kernel version that would show it."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _anchor(heading: str) -> str:
    """As the usual Markdown renderers make it."""
    return "".join(char for char in heading.lower() if char.isalnum() or char in "-_ ").replace(" ", "-")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(page() + "\n")
