"""A local model as a chat model: the renderer makes token ids of turns, an engine continues them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.agent.models.base import Completion, Sampling, spoken
from fireact_ray.agent.models.engines.base import Engine
from fireact_ray.core.types import Turn, Usage
from fireact_ray.rendering.base import Renderer


@dataclass(frozen=True)
class LocalChat:
    """`engine` may live in this process or behind a Ray Serve handle; the prompt is rendered here either way."""

    name: str
    engine: Engine
    renderer: Renderer

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        prompt_ids = self.renderer.prompt(turns)
        generation = await self.engine.generate(prompt_ids, sampling)
        text = self.renderer.decode(generation.ids)
        usage = Usage(len(prompt_ids), len(generation.ids))
        return spoken(Completion(text, generation.finish_reason, usage), sampling.stop)

    async def close(self) -> None:
        await self.engine.close()
