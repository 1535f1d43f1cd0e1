"""How many workers: a number, or a range of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, PositiveInt, model_validator

from fireact_ray.core.settings import Section


class WorkerRange(Section):
    """As many workers as there is room and work for: fewer when a node is lost, more when one comes."""

    min: PositiveInt
    max: PositiveInt

    @classmethod
    def of(cls, n: int) -> WorkerRange:
        return cls(min=n, max=n)

    @model_validator(mode="after")
    def _is_a_range(self) -> WorkerRange:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) may be at most max ({self.max})")
        return self

    def __str__(self) -> str:
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max}"


def _as_range(given: Any) -> Any:
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return WorkerRange.of(given)
    if isinstance(given, dict | WorkerRange):
        return given
    raise ValueError("expected a number from 1 on, or {min: 1, max: 4}")


def _as_given(workers: WorkerRange) -> Any:
    return workers.min if workers.min == workers.max else {"min": workers.min, "max": workers.max}


Workers = Annotated[WorkerRange, BeforeValidator(_as_range), PlainSerializer(_as_given)]  # stored as it is given
