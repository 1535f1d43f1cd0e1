"""Rows through named filters, and the report of what each held back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.data.selection.candidates import Candidate

# What of the rows passes: some of them, each once, in any order.
Filter = Callable[[Sequence[Candidate]], list[Candidate]]


@dataclass(frozen=True, slots=True)
class DropReport:
    """n_in = n_kept + dropped, where a row counts for the first filter that it did not pass."""

    n_in: int
    n_kept: int
    dropped: Mapping[str, int]  # by filter, in the order applied, filters that dropped nothing included

    def __post_init__(self) -> None:
        if self.n_in != self.n_kept + sum(self.dropped.values()):
            raise DataError(f"Filters lost rows: {self.n_in} in, {self.n_kept} kept, {dict(self.dropped)} dropped.")

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in self.dropped.items() if count) or "none"

    def then(self, after: DropReport) -> DropReport:
        """The report of both, where `after` went on with what this one kept. Raises DataError where it did not."""
        if self.n_kept != after.n_in:
            raise DataError(f"Filters lost rows: {self.n_kept} kept, {after.n_in} went on.")
        return DropReport(self.n_in, after.n_kept, {**self.dropped, **after.dropped})

    def to_dict(self) -> dict[str, Any]:
        return {"n_in": self.n_in, "n_kept": self.n_kept, "dropped": dict(self.dropped)}


def apply_filters(rows: Sequence[Candidate], filters: Mapping[str, Filter]) -> tuple[list[Candidate], DropReport]:
    """What passes all filters, one after the other."""
    kept, dropped = list(rows), dict[str, int]()
    for name, passes in filters.items():
        passed = passes(kept)
        dropped[name] = len(kept) - len(passed)
        kept = passed
    return kept, DropReport(len(rows), len(kept), dropped)
