"""What rows take, one amount beside the other: numbers for written rows, ranges for pending ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")
Known = float | None  # None: unknown, never 0


@dataclass(frozen=True, slots=True)
class Range:
    """`expected` None: a bound, no measurement. `high` infinite: one measured question tells no spread."""

    low: float
    expected: float | None
    high: float

    def __add__(self, other: Range) -> Range:
        expected = None if self.expected is None or other.expected is None else self.expected + other.expected
        return Range(self.low + other.low, expected, self.high + other.high)

    def each(self, change: Callable[[float], float]) -> Range:
        """`change`, which must not fall, of all three."""
        return Range(change(self.low), None if self.expected is None else change(self.expected), change(self.high))

    @property
    def likeliest(self) -> float:
        """What to reckon with: the expectation, or the bound where there is none."""
        return self.high if self.expected is None else self.expected


@dataclass(frozen=True)
class Amounts(Generic[T]):
    """`calls` are the teacher's replies, each paid for; a request that failed costs nothing. Seconds are those of one
    row after the other: `model_s` in the teacher's calls, `row_s` in the searches too."""

    calls: T
    prompt_tokens: T
    completion_tokens: T
    cost_usd: T
    searches: T
    model_s: T
    row_s: T

    @classmethod
    def all(cls, value: T) -> Amounts[T]:
        return cls(*(value for _ in fields(cls)))


def combined(combine: Callable[..., U], *parts: Amounts[Any]) -> Amounts[U | None]:
    """`combine` over each amount by itself; None where one of it is unknown, for a part of a bill is no bill."""
    return Amounts(*(known(combine, *(getattr(part, field.name) for part in parts)) for field in fields(Amounts)))


def known(combine: Callable[..., U], *values: Any) -> U | None:
    """`combine` of the values, or None where any of them is None."""
    return None if any(value is None for value in values) else combine(*values)


def summed(rows: Iterable[Amounts[Known]]) -> Amounts[Known]:
    return combined(lambda *values: sum(values), Amounts.all(0), *rows)
