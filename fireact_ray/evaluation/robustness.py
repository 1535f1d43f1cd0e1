"""How much a system loses when its search is faulty: reports by condition in, a degradation table out.

Each condition is compared with the normal one on the same questions, so the questions' own difficulty is no part of the
drop (see paired.compare_paired). Of several seeds each question counts once, by its mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.utils.markdown import UNKNOWN, markdown_table, shown
from fireact_ray.core.utils.statistics import bootstrap_interval
from fireact_ray.evaluation.metrics import Measure, mean
from fireact_ray.evaluation.paired import Paired, compare_paired
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.seeds import scores_over_seeds

ROBUSTNESS_VERSION = 1
NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Conditioned:
    """The reports of one system in one condition, one for each seed. `probability`: of a fault per search, 0 in the
    normal condition, whose kind is its name."""

    condition: str
    kind: str
    probability: float
    reports: Sequence[Report]


@dataclass(frozen=True, slots=True)
class DegradationRow:
    """One row: `em` over `n` questions is None where none has a known answer, `versus_normal` in the normal row."""

    system: str
    condition: str
    kind: str
    probability: float
    n: int
    em: Measure | None
    versus_normal: Paired | None

    def drop(self) -> dict[str, float] | None:
        """Exact match lost, in percentage points with their 95% interval; below 0 where the system did better."""
        if self.versus_normal is None:
            return None
        low, high = self.versus_normal.interval
        lost = {"points": self.versus_normal.difference, "low": high, "high": low}
        return {name: 0.0 - 100 * value for name, value in lost.items()} | {"p_value": self.versus_normal.p_value}

    def to_dict(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "condition": self.condition,
            "kind": self.kind,
            "probability": self.probability,
            "n": self.n,
            "em": self.em.to_dict() if self.em else None,
            "drop": self.drop(),
        }


@dataclass(frozen=True, slots=True)
class Degradation:
    """The rows system by system, of each the normal condition first."""

    rows: tuple[DegradationRow, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"version": ROBUSTNESS_VERSION, "rows": [row.to_dict() for row in self.rows]}

    def to_markdown(self) -> str:
        header = ["system", "condition", "fault rate", "EM % [95%]", "drop, points [95%]", "p", "n"]
        return markdown_table(header, [_cells(row) for row in self.rows])


def degradation_of(systems: Mapping[str, Sequence[Conditioned]]) -> Degradation:
    """`systems`: by name, each with its normal condition first. Raises DataError where that is missing, and where
    conditions or seeds were met by other questions."""
    return Degradation(tuple(row for system, conditions in systems.items() for row in _rows(system, conditions)))


def _rows(system: str, conditions: Sequence[Conditioned]) -> list[DegradationRow]:
    if not conditions or conditions[0].condition != NORMAL:
        raise DataError(f"'{system}' has no report of the normal condition to compare with. Evaluate it again.")
    rows: list[DegradationRow] = []
    normal = _exact(conditions[0].reports)
    for one in conditions:
        exact = _exact(one.reports)
        compared = compare_paired(normal, exact) if exact and one is not conditions[0] else None
        em = _measure(one.reports, exact)
        rows.append(DegradationRow(system, one.condition, one.kind, one.probability, len(exact), em, compared))
    return rows


def _exact(reports: Sequence[Report]) -> dict[str, float]:
    """Exact match by question, the mean over the reports."""
    return {question: score.exact_match for question, score in scores_over_seeds(reports).items()}


def _measure(reports: Sequence[Report], exact: Mapping[str, float]) -> Measure | None:
    """As the report has it, where there is one; of several over questions, by the bootstrap."""
    if len(reports) == 1:
        return reports[0].metrics.em if reports[0].metrics else None
    if not exact:
        return None
    values = list(exact.values())
    low, high = bootstrap_interval(values)
    return Measure(100 * mean(values), 100 * low, 100 * high)


def _cells(row: DegradationRow) -> list[str]:
    lost = row.drop()
    points = f"{lost['points']:.1f} [{lost['low']:.1f}, {lost['high']:.1f}]" if lost else UNKNOWN
    p_value = f"{lost['p_value']:.3g}" if lost else UNKNOWN
    return [row.system, row.condition, f"{row.probability:.0%}", shown(row.em), points, p_value, str(row.n)]
