"""A model and a search that only have a name: to plan rows, and to repeat a run from its recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.core.errors import ModelDenied, ToolDenied
from fireact_ray.core.types import Hit, Turn


@dataclass(frozen=True)
class UnopenedModel:
    name: str

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        raise ModelDenied(f"{self.name} was not opened: it must not be called")

    async def close(self) -> None:
        """Nothing was opened."""


class OfflineBackend:
    """Only names what was searched, so that row keys are those of the recorded run."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    async def search(self, query: str, k: int) -> list[Hit]:
        raise ToolDenied("Offline: this run searches nothing")

    async def close(self) -> None:
        """Nothing to release."""
