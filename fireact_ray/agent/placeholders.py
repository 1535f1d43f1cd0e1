"""Models and a search that only have a name: to plan rows, to repeat a run from its recording, to be given another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.agent.models.engines.base import Generation
from fireact_ray.core.errors import ModelDenied, ToolDenied
from fireact_ray.core.types import Hit, Turn


@dataclass(frozen=True)
class UnopenedModel:
    name: str

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        raise ModelDenied(f"{self.name} was not opened: it must not be called")

    async def close(self) -> None:
        """Nothing was opened."""


@dataclass(frozen=True)
class UnopenedEngine:
    """Of an agent whose questions each bring an engine of their own."""

    max_context: int

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        raise ModelDenied("this agent has no engine of its own: it must not be called")

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
