"""An engine deployment without a model: every reply takes the same time, whoever else asks.

So what a served question takes beyond its replies is the server's own. A question is answered after STEPS replies, all
but the last of them a search.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Engine, Generation
from fireact_ray.core.grammar import OBSERVATION
from fireact_ray.recipe.student import StudentAgents, local_student
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.stages.actors.engine_server import EngineServer

STEP_VARIABLE = "FIREACT_BENCH_STEP_S"  # in the environment of the Ray that runs it
STEPS = 4

_SEARCH = "Thought: I look for the birth year.\nAction: search[Welrel Brambram birth year]"
_FINISH = "Thought: The birth year is 1879.\nAction: finish[1879]"


class FakeEngine:
    """Tells by the observations in a prompt how far its question is."""

    def __init__(self, tokenizer: HubTokenizer, max_context: int, step_s: float) -> None:
        self.max_context = max_context
        self._tokenizer, self._step_s = tokenizer, step_s
        self._search, self._finish = (tuple(tokenizer.encode(text)) for text in (_SEARCH, _FINISH))

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        is_last = self._tokenizer.decode(prompt_ids).count(OBSERVATION) >= STEPS - 1
        await asyncio.sleep(self._step_s)
        return Generation(self._finish if is_last else self._search, "stop")

    async def close(self) -> None:
        """Nothing was opened."""


class FakeEngineServer(EngineServer):
    @staticmethod
    def _opened(models: tuple[StudentAgents, ...]) -> Mapping[str, Engine]:
        (one,) = models
        tokenizer, step_s = HubTokenizer.load(one.model_dir), float(os.environ[STEP_VARIABLE])
        return {one.model_key: FakeEngine(tokenizer, local_student(one.recipe).max_context, step_s)}
