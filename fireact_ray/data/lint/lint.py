"""Records in, what is wrong with them out: for each rule the rows that it finds. Nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fireact_ray.data.formats.records import Record
from fireact_ray.data.lint import RULES
from fireact_ray.data.lint.base import Context


@dataclass(frozen=True, slots=True)
class LintReport:
    """`rows`: row numbers as the file counts, by code, for every rule that was checked, those that found nothing too.

    `unchecked`: codes of rules that had nothing to compare with.
    """

    n_rows: int
    rows: Mapping[str, tuple[int, ...]]
    unchecked: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        found = {code: {"count": len(rows), "rows": list(rows)} for code, rows in self.rows.items()}
        return {"n_rows": self.n_rows, "rules": found, "unchecked": list(self.unchecked)}


def lint(records: Sequence[Record], context: Context) -> LintReport:
    """What all rules find that the context has something to compare with for."""
    compared = {"contaminated": context.questions, "near_duplicate": context.near_duplicate}
    unchecked = tuple(code for code, with_what in compared.items() if with_what is None)
    rows = {
        rule.code: tuple(records[place].row for place in sorted(rule.check(records, context)))
        for rule in RULES.values()
        if rule.code not in unchecked
    }
    return LintReport(len(records), rows, unchecked)
