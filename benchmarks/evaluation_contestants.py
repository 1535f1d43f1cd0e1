"""Engines that answer the same agents as ours does: one prompt at a time by `generate()`, static batches of
it, transformers' continuous batching, vLLM. Token ids in, token ids out, greedy."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Generation
from fireact_ray.agent.models.engines.stopping import StopStrings
from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.rendering.tokenizer import HubTokenizer

_CB_BLOCKS, _CB_BATCH_TOKENS = 256, 1024  # of 256 tokens each; transformers infers both from a GPU's memory alone


def cpu_s(engine: Any) -> float:
    """Of this process and the engine's, so far."""
    return time.process_time() + (engine.cpu_s() if isinstance(engine, VllmProcess) else 0.0)


Decode = Callable[[Sequence[int]], str]


class OneByOne:
    """FireAct's way: `model.generate()` on one prompt, all of which is encoded anew in each step. A reply ends at the
    end token or a stop string; FireAct went on after those, and cut."""

    def __init__(self, model: Any, decode: Decode, end_id: int, max_context: int) -> None:
        self.max_context = max_context
        self._model, self._decode, self._end_id = model, decode, end_id

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        from transformers import StoppingCriteriaList

        ids = torch.tensor([list(prompt_ids)])
        n = len(prompt_ids)

        def is_over(tokens: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
            tail = self._decode(tokens[0, max(n, tokens.shape[1] - 24) :].tolist())
            return torch.tensor([any(stop in tail for stop in sampling.stop)])

        with torch.inference_mode():
            out = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=self._end_id,
                pad_token_id=self._end_id,
                stopping_criteria=StoppingCriteriaList([is_over]),
            )
        return whole_reply(out[0, n:].tolist(), self._end_id, sampling, self._decode)

    async def close(self) -> None: ...


class Static:
    """Batches of whatever waits; none joins before the longest of a batch has ended."""

    def __init__(self, model: Any, tokenizer: HubTokenizer, end_id: int, max_context: int, max_batch: int) -> None:
        self.max_context = max_context
        self._model, self._tokenizer, self._end_id, self._max_batch = model, tokenizer, end_id, max_batch
        self._waiting: list[tuple[list[int], Sampling, asyncio.Future[Generation]]] = []
        self._running: asyncio.Task[None] | None = None

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        reply: asyncio.Future[Generation] = asyncio.get_running_loop().create_future()
        self._waiting.append((list(prompt_ids), sampling, reply))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await reply

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0.01)  # agents that have just been answered ask again
            batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
            replies = await asyncio.to_thread(self._generated, [one[0] for one in batch], batch[0][1])
            for (_, _, reply), generation in zip(batch, replies, strict=True):
                reply.set_result(generation)

    def _generated(self, prompts: list[list[int]], sampling: Sampling) -> list[Generation]:
        longest = max(map(len, prompts))
        ids = torch.tensor([[self._tokenizer.pad_id] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        stops = StopStrings(sampling.stop, self._tokenizer.decode)

        def is_over(tokens: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
            return torch.tensor([stops.completed_by(row) for row in tokens[:, longest:].tolist()])

        with torch.inference_mode():
            out = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=self._end_id,
                pad_token_id=self._end_id,
                stopping_criteria=[is_over],
            )
        decode = self._tokenizer.decode
        return [whole_reply(row, self._end_id, sampling, decode) for row in out[:, longest:].tolist()]

    async def close(self) -> None: ...


class ContinuousBatching:
    """transformers' manager, to which each step of each rollout is a request of its own. It shares full pages of equal
    prompts, and knows no stop strings: what comes behind them is computed and cut."""

    def __init__(self, model: Any, decode: Decode, end_id: int, max_context: int, max_batch: int) -> None:
        from transformers import GenerationConfig
        from transformers.generation.configuration_utils import ContinuousBatchingConfig

        self.max_context = max_context
        self._decode, self._end_id = decode, end_id
        settings = ContinuousBatchingConfig(
            num_blocks=_CB_BLOCKS, max_batch_tokens=_CB_BATCH_TOKENS, max_requests_per_batch=max_batch
        )
        greedy = GenerationConfig(do_sample=False, eos_token_id=end_id, pad_token_id=end_id)
        self._manager = model.init_continuous_batching(greedy, settings)
        self._manager.start()
        self._n = 0

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        self._n += 1
        name, reply = f"r{self._n}", asyncio.get_running_loop().create_future()

        def told(output: Any) -> None:
            if output.is_finished() and not reply.done():
                reply.set_result(output)

        self._manager.register_result_handler(name, told)
        self._manager.add_request(list(prompt_ids), name, max_new_tokens=sampling.max_new_tokens)
        output = await reply
        if output.error is not None:
            raise ModelUnavailable(f"continuous batching: {output.error}")
        return whole_reply(list(output.generated_tokens), self._end_id, sampling, self._decode)

    async def close(self) -> None:
        await asyncio.to_thread(self._manager.stop, block=True)


class VllmProcess:
    """vLLM in an environment of its own (vllm_engine.py), asked by lines of JSON."""

    def __init__(
        self, python: str, model_dir: str, decode: Decode, end_id: int, max_context: int, max_batch: int, threads: int
    ) -> None:
        self.max_context = max_context
        self._decode, self._end_id = decode, end_id
        script = Path(__file__).with_name("vllm_engine.py")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "OMP_NUM_THREADS": str(threads),
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_KVCACHE_SPACE": "2",
            "VLLM_LOGGING_LEVEL": "ERROR",
        }
        command = [python, str(script), model_dir, str(max_context), str(max_batch)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future[list[int]]]] = {}
        self._n = 0
        self.read = 0  # prompt tokens, those that it knew left out
        for line in self._lines():
            if line == {"ready": True}:
                break
        else:
            raise ModelUnavailable(f"{python} {script.name} ended before it was ready")
        threading.Thread(target=self._deliver, daemon=True).start()

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        self._n += 1
        name, loop = f"r{self._n}", asyncio.get_running_loop()
        reply: asyncio.Future[list[int]] = loop.create_future()
        self._waiting[name] = loop, reply
        asked = {
            "id": name,
            "ids": list(prompt_ids),
            "max_tokens": sampling.max_new_tokens,
            "stop": list(sampling.stop),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return whole_reply(await reply, self._end_id, sampling, self._decode)

    def cpu_s(self) -> float:
        """Of its processes so far."""
        first = psutil.Process(self._process.pid)
        times = [process.cpu_times() for process in (first, *first.children(recursive=True))]
        return sum(one.user + one.system for one in times)

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.to_thread(self._process.wait, 60)

    def _lines(self) -> Any:
        """What it says to us; vLLM's own words stand between."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                yield json.loads(line)

    def _deliver(self) -> None:
        for line in self._lines():
            loop, reply = self._waiting.pop(line["id"])
            self.read += line["read"]
            loop.call_soon_threadsafe(reply.set_result, line["ids"])


def whole_reply(ids: list[int], end_id: int, sampling: Sampling, decode: Decode) -> Generation:
    """As ours ends it: before the end token, after the token that completes a stop string, or at its limit."""
    stops = StopStrings(sampling.stop, decode)
    for n, token in enumerate(ids):
        if token == end_id:
            return Generation(tuple(ids[:n]), "stop")
        if stops.completed_by(ids[: n + 1]):
            return Generation(tuple(ids[: n + 1]), "stop")
    return Generation(tuple(ids), "length")
