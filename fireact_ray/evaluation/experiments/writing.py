"""An answer as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence

from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.evaluation.experiments.shown import Answer, Table


def answers_json(answers: Sequence[Answer]) -> str:
    """`experiments`: each with its tables and figures; a value holds the folders of the rows it came from."""
    return json.dumps({"version": 1, "experiments": [answer.to_dict() for answer in answers]}, indent=1) + "\n"


def answers_markdown(title: str, answers: Sequence[Answer]) -> str:
    return f"# {title}\n\n" + "\n".join(_answer(answer) for answer in answers)


def _answer(answer: Answer) -> str:
    facts = "".join(f"- {name}: {value}\n" for name, value in answer.facts)
    tables = "\n".join(_table(table) for section in answer.sections for table in section.tables)
    return f"## {answer.name}\n\n{answer.question}\n\n{facts}\n{tables}"


def _table(table: Table) -> str:
    """A row that only says why there is none stands below: as a label it would make its column as wide."""
    rows = [[row.label, *(value.text for value in row.values)] for row in table.rows if row.origin != "failed"]
    missing = "".join(f"\nwithout a result: {row.label}\n" for row in table.rows if row.origin == "failed")
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return f"### {table.title}\n\n{markdown_table(table.columns, rows)}{missing}{notes}"
