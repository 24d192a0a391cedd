from pathlib import Path

import pytest

from auditor.evaluate import LIMITS
from auditor.publish.reference import page

WRITTEN = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_page_is_in_step() -> None:
    assert WRITTEN.read_text() == page() + "\n", "python -m auditor.publish.reference > docs/reference.md"


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row.id)
def test_every_limit_and_rule_is_explained(row: object) -> None:
    assert f"\n| `{row.id}` |" in page()  # type: ignore[attr-defined]
    assert f"\n### {row.rule}\n" in page()  # type: ignore[attr-defined]


def test_links_lead_somewhere() -> None:
    lines = page().splitlines()
    headings = {line.lstrip("# ") for line in lines if line.startswith("#")}
    anchors = {"".join(c for c in one.lower() if c.isalnum() or c in "-_ ").replace(" ", "-") for one in headings}
    targets = {part.split(")")[0] for line in lines for part in line.split("](#")[1:]}
    assert targets <= anchors
    assert len(targets) > len(LIMITS)
