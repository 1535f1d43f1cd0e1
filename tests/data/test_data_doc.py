"""docs/data.md is in step with the rules and with the recipe's section."""

from pathlib import Path

import pytest

from fireact_ray.data.lint.describe import rules_markdown
from fireact_ray.data.selection.config import DROPPABLE, ConvertConfig

DOC = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_rules_of_the_document_are_those_of_the_lint():
    start, end = "<!-- rules: python -m fireact_ray.data.lint.describe -->\n", "<!-- end of rules -->"
    assert DOC.split(start)[1].split(end)[0] == rules_markdown()


@pytest.mark.parametrize("line", ConvertConfig.model_fields)
def test_every_line_of_the_convert_section_is_described(line):
    rows = [row for row in DOC.splitlines() if row.startswith("| `") and f"`{line}`" in row.split("|")[1]]
    assert len(rows) == 1


def test_what_can_be_dropped_is_listed():
    (row,) = [row for row in DOC.splitlines() if row.startswith("| `drop`")]
    assert ", ".join(f"`{code}`" for code in DROPPABLE) in row
