"""The paper's numbers beside ours: a row of the paper follows the row of ours that has its model, or stands at the end.

table: [{model: Llama-2-7B, about: "by ReAct", column: number, ...}]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fireact_ray.evaluation.experiments.shown import Row, Unit, Value

Paper = Mapping[str, Any]
NOTE = (
    "Rows of the paper (FireAct, arXiv 2310.05915) are other models, another teacher and Google's search of 2023, on "
    "HotpotQA where no other task is named: they say what was found there, not what is to be expected here."
)


def with_paper(
    rows: Sequence[tuple[Row, str]], columns: Mapping[str, Unit], entries: Sequence[Mapping[str, Any]]
) -> tuple[Row, ...]:
    """`rows`: ours, each with the name of its model. `columns`: their keys in the paper's file, in order."""
    left = list(entries)
    placed: list[Row] = []
    for row, model in rows:
        placed.append(row)
        for entry in [entry for entry in left if is_same_model(model, str(entry["model"]))]:
            left.remove(entry)
            placed.append(_row(entry, columns))
    return (*placed, *(_row(entry, columns) for entry in left))


def is_same_model(ours: str, papers: str) -> bool:
    """`meta-llama/Llama-2-7b-hf` is the paper's Llama-2-7B; gpt-4o and gpt-4.1 are not its GPT-4."""
    parts = map(re.escape, re.findall(r"[a-z]+|[0-9]+", papers.casefold()))
    name = r"[^a-z0-9]*".join(parts)
    return re.search(rf"(?<![a-z0-9]){name}(?![a-z0-9]|\.[0-9])", ours.casefold()) is not None


def rows_of(paper: Paper, name: str) -> list[Mapping[str, Any]]:
    """The paper's rows of a table; none where it has no such table."""
    return list(paper.get(name, ()))


def _row(entry: Mapping[str, Any], columns: Mapping[str, Unit]) -> Row:
    values = tuple(Value(entry.get(key), unit) for key, unit in columns.items())
    about = f" {entry['about']}" if "about" in entry else ""
    return Row(f"paper: {entry['model']}{about}", values, "paper")
