"""What an experiment shows: tables of numbers and figures, each number with the rows that it came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from fireact_ray.core.utils.markdown import UNKNOWN

Origin = Literal["ours", "paper", "failed"]
Unit = Literal["points", "change", "ratio", "usd", "seconds", "mean", "count", "p"]

_FORMATS: dict[str, str] = {
    "points": "{:.1f}",
    "change": "{:+.1f}",
    "ratio": "{:+.0f} %",
    "usd": "{:.4f}",
    "seconds": "{:.1f}",
    "mean": "{:.2f}",
    "count": "{:,.0f}",
    "p": "{:.2g}",
}


@dataclass(frozen=True, slots=True)
class Point:
    """`x`: a number, or the name of a bar. `low`, `high`: the 95 % interval of `y`. `rows`: as of a value."""

    x: float | str
    y: float
    low: float | None = None
    high: float | None = None
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """A number, with its 95 % interval where one is known. `number` None: unknown, never 0. `rows`: the folders of the
    trajectories that it was computed from."""

    number: float | None
    unit: Unit = "points"
    low: float | None = None
    high: float | None = None
    rows: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        if self.number is None:
            return UNKNOWN
        shown = _FORMATS[self.unit].format(self.number)
        if self.low is None or self.high is None:
            return shown
        form = _FORMATS[self.unit]
        return f"{shown} [{form.format(self.low)}, {form.format(self.high)}]"

    def at(self, x: float | str) -> tuple[Point, ...]:
        """Its point in a figure; none where the number is unknown."""
        return () if self.number is None else (Point(x, self.number, self.low, self.high, self.rows),)


@dataclass(frozen=True, slots=True)
class Row:
    """`values`: one for each column behind the label. `origin` failed: the label says why there is none."""

    label: str
    values: tuple[Value, ...]
    origin: Origin = "ours"


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]  # that of the labels first
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    points: tuple[Point, ...]
    origin: Origin = "ours"


@dataclass(frozen=True, slots=True)
class Figure:
    """`curve`: y over a number, each series a line; `bars`: y over names; `histogram`: bars of shares over a number."""

    kind: Literal["curve", "bars", "histogram"]
    title: str
    x: str
    y: str
    series: tuple[Series, ...]

    @property
    def is_empty(self) -> bool:
        return not any(series.points for series in self.series)


@dataclass(frozen=True, slots=True)
class Section:
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one experiment. `facts`: what it was run with, such as models and when."""

    name: str
    question: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)
