"""Generalisation: what a system that was trained on one task does on each of several, as a matrix.

A row is what was trained on (a task, several joined by +, or nothing: the prompted base), a column what was asked. A
cell is the report of that evaluation; one that nobody ran is empty. Each row is compared with the first on the same
questions. Cells whose test task is not among the trained ones show generalisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.utils.markdown import UNKNOWN, markdown_table
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.tables import difference_dict, versus

BASE = "base"
JOINED = "+"


@dataclass(frozen=True, slots=True)
class Matrix:
    """`cells`: reports by (trained on, asked); rows and columns in the order in which they first occur."""

    cells: Mapping[tuple[str, str], Report]

    def __post_init__(self) -> None:
        if not self.cells:
            raise DataError("A generalisation matrix needs a report. Evaluate at least one system.")

    @property
    def trained(self) -> list[str]:
        return list(dict.fromkeys(trained for trained, _ in self.cells))

    @property
    def asked(self) -> list[str]:
        return list(dict.fromkeys(asked for _, asked in self.cells))

    def is_held_out(self, trained: str, asked: str) -> bool:
        """Whether the test task was not trained on."""
        return asked not in trained.split(JOINED)

    def to_dict(self) -> dict[str, Any]:
        return {
            "trained": self.trained,
            "asked": self.asked,
            "cells": [self._cell(trained, asked) for trained in self.trained for asked in self.asked],
        }

    def to_markdown(self) -> str:
        """EM % [95%] by what was trained on and asked; behind it the points against the first row. `*`: trained on."""
        rows = [[trained, *(self._shown(trained, asked) for asked in self.asked)] for trained in self.trained]
        return markdown_table([r"trained on \ asked", *self.asked], rows)

    def _cell(self, trained: str, asked: str) -> dict[str, Any]:
        report = self.cells.get((trained, asked))
        first = self.cells.get((self.trained[0], asked))
        return {
            "trained": trained,
            "asked": asked,
            "held_out": self.is_held_out(trained, asked),
            "n": report.n_planned if report else None,
            "em": report.metrics.em.to_dict() if report and report.metrics else None,
            "versus_first": difference_dict(versus(first, report)) if first and report else None,
        }

    def _shown(self, trained: str, asked: str) -> str:
        cell = self._cell(trained, asked)
        report = self.cells.get((trained, asked))
        if report is None or report.metrics is None:
            return UNKNOWN
        against = f" ({cell['versus_first']['points']:+.1f})" if cell["versus_first"] else ""
        return f"{report.metrics.em}{against}" + ("" if cell["held_out"] else " *")
