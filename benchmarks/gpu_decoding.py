"""Our engine beside transformers' `generate`: the same tokens, and how many a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_shapes import Shape, build
from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.torch_engine import TorchEngine

_PROMPT_TOKENS = 256
_APART = (97, 160, 201, 256)  # prompts of different lengths, which share a batch in the engine only


def compare_greedy(shape: Shape, device: torch.device, dtype: torch.dtype, new_tokens: int) -> dict[str, Any]:
    """Several prompts at once through the engine, one by one through `generate`."""
    model = build(shape, device, dtype).eval()
    prompts = _prompts(_APART, shape.vocabulary)
    expected = [_generate(model, [prompt], new_tokens)[0] for prompt in prompts]
    found, _ = asyncio.run(_engine(model, prompts, new_tokens, rounds=1))
    equal = [_equal_tokens(a, b) for a, b in zip(found, expected, strict=True)]
    return {
        "new_tokens": new_tokens,
        "equal_from_the_start": equal,
        "equal": all(n == new_tokens for n in equal),
        "top_two_gap_at_first_difference": [
            None if n == new_tokens else _gap(model, [*prompt, *tokens[:n]])
            for n, prompt, tokens in zip(equal, prompts, expected, strict=True)
        ],
    }


def decode_speed(
    shape: Shape, device: torch.device, dtype: torch.dtype, batch: int, new_tokens: int
) -> dict[str, float]:
    """New tokens a second of a whole batch, the time to read its prompts included; the better of two after one."""
    model = build(shape, device, dtype).eval()
    prompts = _prompts([_PROMPT_TOKENS] * batch, shape.vocabulary)
    _, ours = asyncio.run(_engine(model, prompts, new_tokens, rounds=3))
    theirs = []
    for _ in range(3):
        started = time.perf_counter()
        _generate(model, prompts, new_tokens)
        theirs.append(time.perf_counter() - started)
    return {
        "batch": batch,
        "prompt_tokens": _PROMPT_TOKENS,
        "new_tokens": new_tokens,
        "engine_tokens_per_s": batch * new_tokens / min(ours[1:]),
        "generate_tokens_per_s": batch * new_tokens / min(theirs[1:]),
    }


def _prompts(lengths: Sequence[int], vocabulary: int) -> list[list[int]]:
    draw = np.random.default_rng(1)
    return [draw.integers(2, vocabulary, length).tolist() for length in lengths]


async def _engine(
    model: Any, prompts: list[list[int]], new_tokens: int, rounds: int
) -> tuple[list[list[int]], list[float]]:
    """A new engine for each round: none finds its prompts in a slot of the round before."""
    seconds = []
    for _ in range(rounds):
        engine = TorchEngine(
            model, end_id=-1, pad_id=0, decode=lambda _: "", max_context=2048, max_batch=max(64, len(prompts))
        )
        started = time.perf_counter()
        replies = await asyncio.gather(
            *(engine.generate(ids, Sampling(temperature=0.0, max_new_tokens=new_tokens)) for ids in prompts)
        )
        seconds.append(time.perf_counter() - started)
        await engine.close()
    return [list(reply.ids) for reply in replies], seconds


def _generate(model: Any, prompts: list[list[int]], new_tokens: int) -> list[list[int]]:
    """Prompts of one length."""
    ids = torch.tensor(prompts, device=model.device)
    with torch.inference_mode():
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens, pad_token_id=0
        )
    return [row.tolist() for row in out[:, ids.shape[1] :].cpu()]


def _equal_tokens(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), len(a))


def _gap(model: Any, ids: list[int]) -> float:
    """Between the two largest logits of the next token: a tie within rounding may fall either way."""
    with torch.inference_mode():
        top = model(input_ids=torch.tensor([ids], device=model.device), logits_to_keep=1).logits[0, -1].topk(2).values
    return float(top[0] - top[1])
