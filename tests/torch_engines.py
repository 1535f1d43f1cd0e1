"""A tiny model, an engine of it, and what transformers' own loop says to the same prompts."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.torch_engine import TorchEngine

CONTEXT = 128
NO_END = 96  # a token that this model never chooses
GREEDY = Sampling(max_new_tokens=12)


def make_model(**changes):
    torch.manual_seed(3)
    shape = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    model = LlamaForCausalLM(LlamaConfig(**{**shape, **changes})).eval()
    with torch.no_grad():
        model.lm_head.weight[NO_END] = 0
    return model


def decode(ids: Sequence[int]) -> str:
    return "".join(f"<{i}>" for i in ids)


def make_engine(model, **changes) -> TorchEngine:
    settings = {"end_id": NO_END, "pad_id": 0, "decode": decode, "max_context": CONTEXT}
    return TorchEngine(model, **{**settings, **changes})


def prompts(*lengths: int, seed: int = 0) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(1, 96) for _ in range(length)] for length in lengths]


def alone(model, prompt: list[int], n: int) -> tuple[int, ...]:
    """Greedy tokens by transformers' own loop."""
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, do_sample=False)
    return tuple(out[0, len(prompt) :].tolist())
