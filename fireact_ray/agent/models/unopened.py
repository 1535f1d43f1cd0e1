"""Stands in for a model where only its name is needed: to plan rows, and to repeat a run from its recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.core.errors import ModelDenied
from fireact_ray.core.types import Turn


@dataclass(frozen=True)
class UnopenedModel:
    name: str

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        raise ModelDenied(f"{self.name} was not opened: it must not be called")

    async def close(self) -> None:
        """Nothing was opened."""
