"""vLLM in this process, by its AsyncLLM, whose core works in a process of its own. Token ids in, token ids out.

A reply ends where it would in every other engine: vLLM is told one end token, ours, and none of those that a model's
generation_config.json names; stop strings are looked for here (it takes four or five, and cuts text, not tokens). It
needs no tokenizer then, so that nothing can be added to a prompt on the way.

vLLM is imported where an engine is opened: it has an environment of its own (docs/serving.md).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Generation, demand_fit
from fireact_ray.agent.models.engines.stopping import StopStrings
from fireact_ray.agent.models.engines.vllm_words import n_said, reason
from fireact_ray.core.errors import InputError, ModelRefused, ModelUnavailable
from fireact_ray.core.utils.ended_with_us import EndedWithUs

_ENVIRONMENT = {  # where nobody has said otherwise
    "VLLM_NO_USAGE_STATS": "1",  # it would tell its makers what runs here
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # replicas of one machine would all bind to the same cores
    "VLLM_WORKER_MULTIPROCESSING_METHOD": "spawn",  # a fork would have neither our environment nor threads that work
    "SPT_NOENV": "1",  # titles of its processes would be written over the environment by which these are known
}


class CoreDied(ModelUnavailable):
    """The process of vLLM's core has ended: this engine answers nothing any more."""


@dataclass(frozen=True)
class Answering:
    """One of the models that a core answers with: the base, or an adapter of it.

    `adapter`: its folder; None for the base. `name`: of these weights and no others, as what is cached of a prompt is
    kept by it. `decode`: ids to the text in which stop strings are looked for.
    """

    name: str
    adapter: str | None
    end_id: int
    decode: Callable[[Sequence[int]], str]


class VllmCore:
    """A base model, and adapters of it that share its weights and its batches."""

    def __init__(self, settings: Mapping[str, Any], models: Mapping[str, Answering]) -> None:
        """`settings`: of vLLM's AsyncEngineArgs. Raises InputError where vLLM cannot start with them."""
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.lora.request import LoRARequest
        from vllm.v1.engine.async_llm import AsyncLLM

        self.max_context: int = settings["max_model_len"]
        self._processes = EndedWithUs()  # a replica is also killed, and its core would keep the GPU
        n_before = n_said()
        try:
            self.llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**settings))
        except Exception as error:
            self._processes.close()
            raise InputError(f"vLLM cannot start with {settings['model']}: {reason(error, n_before)}") from error
        self.vocabulary: int = self.llm.model_config.get_vocab_size()  # without a tokenizer it checks no ids itself
        self._numbers = itertools.count(1)
        self._adapters = {
            key: LoRARequest(model.name, number, model.adapter)
            for number, (key, model) in enumerate(models.items(), 1)
            if model.adapter is not None
        }
        self._loaded: set[str] = set()
        self.engines = {key: VllmEngine(self, model, self._adapters.get(key)) for key, model in models.items()}

    def request_id(self) -> str:
        return f"r{next(self._numbers)}"

    async def check(self) -> None:
        """Raises CoreDied, and what vLLM says of an adapter that it cannot load."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            await self.llm.check_health()
            for key in self._adapters.keys() - self._loaded:
                await self.llm.add_lora(self._adapters[key])
                self._loaded.add(key)
        except EngineDeadError as error:
            raise CoreDied(f"vLLM's core has ended: {error}") from None

    async def close(self) -> None:
        self.llm.shutdown()
        self._processes.close()


class VllmEngine:
    """An `Engine`: one model of a core. Greedy replies are those of the torch engine, up to ties within rounding; a
    seeded one repeats, up to rounding, and is not the one that another engine draws by that seed."""

    def __init__(self, core: VllmCore, model: Answering, adapter: Any) -> None:
        self.max_context = core.max_context
        self._core, self._model, self._adapter = core, model, adapter

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        """One reply. Cancelling the caller ends it in vLLM's core, too.

        Raises TokenLimit for what does not fit, ModelRefused for what vLLM does not take, CoreDied where it has ended,
        ModelUnavailable where it failed otherwise.
        """
        from vllm.exceptions import VLLMValidationError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        demand_fit(prompt_ids, sampling, self.max_context, self._core.vocabulary)
        try:
            return await self._generate(prompt_ids, sampling)
        except EngineDeadError as error:
            raise CoreDied(f"vLLM's core has ended: {error}") from None
        except EngineGenerateError as error:
            raise ModelUnavailable(f"vLLM failed: {error.__cause__ or error}") from None
        except VLLMValidationError as error:
            raise ModelRefused(f"vLLM refused the request: {error}") from None

    async def _generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        stops = StopStrings(sampling.stop, self._model.decode)
        ids: list[int] = []
        reason: str | None = None
        replies = self._core.llm.generate(
            {"prompt_token_ids": list(prompt_ids)},
            _params(sampling, self._model.end_id, by_token=bool(stops)),
            self._core.request_id(),
            lora_request=self._adapter,
        )
        async with aclosing(replies):  # left early, it ends in the core, too
            async for reply in replies:
                (choice,) = reply.outputs
                reason = self._taken(choice.token_ids, ids, stops) or choice.finish_reason
                if reason is not None and not reply.finished:
                    break
        if reason not in ("stop", "length"):
            raise ModelUnavailable(f"vLLM ended a reply by '{reason}'")
        return Generation(tuple(ids), reason)

    def _taken(self, new: Sequence[int], ids: list[int], stops: StopStrings) -> str | None:
        """Take new ids up to the end of the reply; "stop" where it is among them."""
        for token in new:
            if token == self._model.end_id:
                return "stop"
            ids.append(token)
            if stops.completed_by(ids):
                return "stop"
        return None

    async def close(self) -> None:
        await self._core.close()


def _params(sampling: Sampling, end_id: int, *, by_token: bool) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=sampling.temperature,
        max_tokens=sampling.max_new_tokens,
        seed=sampling.seed,
        ignore_eos=True,  # of the model's files
        stop_token_ids=[end_id],
        detokenize=False,
        output_kind=RequestOutputKind.DELTA if by_token else RequestOutputKind.FINAL_ONLY,
    )
