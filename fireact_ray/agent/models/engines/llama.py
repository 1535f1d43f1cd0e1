"""A Llama's forward pass in few calls, for models so small that a CPU spends its time between them.

transformers makes some forty calls a layer, each for one small thing. Here queries, keys and values are one product,
and so are both halves of the gate. What is computed is the same, up to rounding: a model for which that does not hold
on some tokens, whatever the reason, keeps its own forward pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm
from transformers import LlamaForCausalLM

_STEADY_ROPES = {"default", "linear", "llama3", "yarn"}  # the angles at a position do not depend on how long a text is
_SMALL = 200_000_000  # parameters: with more, time goes into the products, and joining them would copy gigabytes
_N_TRIED = 24
_CLOSE = 1e-3  # of the largest logit

_Linear = tuple[Tensor, Tensor | None]  # weight (out, in), bias
Attend = Callable[[int, Tensor, Tensor, Tensor, float], Tensor]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Layer:
    """`qkv`: queries, keys, values; `gate_up`: gate, up."""

    norm: Tensor
    qkv: _Linear
    out: _Linear
    mlp_norm: Tensor
    gate_up: _Linear
    down: _Linear


class LlamaPass:
    """The joined weights take the place of the model's own, which are views of them from now on."""

    def __init__(self, model: Any, max_context: int) -> None:
        config, body = model.config, model.model
        self._heads, self._key_heads = config.num_attention_heads, config.num_key_value_heads
        self._width, self._eps = body.layers[0].self_attn.head_dim, config.rms_norm_eps
        self._scale, self._act = body.layers[0].self_attn.scaling, body.layers[0].mlp.act_fn
        self._embed, self._norm, self._head = body.embed_tokens, body.norm.weight, model.lm_head.weight
        self._layers = [_joined(layer) for layer in body.layers]
        cos, sin = body.rotary_emb(self._norm, torch.arange(max_context)[None])
        half = self._width // 2
        self._cos, self._sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)

    def __call__(self, ids: Tensor, positions: Tensor, keep: Tensor, attend: Attend) -> Tensor:
        """Logits (rows, vocabulary) of what follows the token `keep` (rows,) of each row of `ids` (rows, new).

        `attend`: layer, queries (rows, heads, new, head_dim), keys and values (rows, key heads, new, head_dim), scale
        -> what they read (rows, heads, new, head_dim).
        """
        n_rows, n_new = ids.shape
        cos, sin = self._cos[positions][:, :, None], self._sin[positions][:, :, None]
        n_turned, n_all = self._heads + self._key_heads, self._heads + 2 * self._key_heads
        x = self._embed(ids).view(n_rows * n_new, -1)
        shape = x.shape[1:]
        for number, layer in enumerate(self._layers):
            qkv = linear(rms_norm(x, shape, layer.norm, self._eps), *layer.qkv)
            qkv = qkv.view(n_rows, n_new, n_all, self._width)
            turned = qkv[:, :, :n_turned]
            turned = torch.addcmul(turned * cos, turned.roll(self._width // 2, -1), sin).transpose(1, 2)
            values = qkv[:, :, n_turned:].transpose(1, 2)
            read = attend(number, turned[:, : self._heads], turned[:, self._heads :], values, self._scale)
            x = x + linear(read.transpose(1, 2).reshape(x.shape[0], -1), *layer.out)
            joined = linear(rms_norm(x, shape, layer.mlp_norm, self._eps), *layer.gate_up)
            gate, up = joined.chunk(2, dim=-1)
            x = x + linear(self._act(gate) * up, *layer.down)
        x = x.view(n_rows, n_new, -1)[torch.arange(n_rows), keep]
        return linear(rms_norm(x, shape, self._norm, self._eps), self._head)


def llama_pass(model: Any, max_context: int) -> LlamaPass | None:
    """None for a model that is no small, plain Llama in fp32 on a CPU, or that computes something else than this."""
    if type(model) is not LlamaForCausalLM or model.device.type != "cpu" or model.dtype != torch.float32:
        return None
    if sum(weight.numel() for weight in model.parameters()) > _SMALL:
        return None
    linears = [module for name, module in model.named_modules() if name.endswith("_proj")]
    is_plain = all(type(module) is nn.Linear for module in linears) and model.lm_head.bias is None
    if not is_plain or model.config.rope_parameters["rope_type"] not in _STEADY_ROPES:
        return None
    with torch.no_grad():  # not inference_mode: joined weights stay the model's own
        ids = torch.arange(min(_N_TRIED, max_context))[None] % model.config.vocab_size
        expected = model(ids, use_cache=False).logits[0, -1]
        found = LlamaPass(model, max_context)
        last = torch.tensor([ids.shape[1] - 1])
        differs = (found(ids, torch.arange(ids.shape[1])[None], last, _causal)[0] - expected).abs().max()
    if differs <= _CLOSE * expected.abs().max():
        return found
    logger.warning(
        "This Llama differs from others by %.2g in its logits: it keeps the slower pass of transformers", differs
    )
    return None


def _causal(_: int, query: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    attend = nn.functional.scaled_dot_product_attention
    return attend(query, keys, values, is_causal=True, scale=scale, enable_gqa=True)


def _joined(layer: Any) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    qkv = _join([attention.q_proj, attention.k_proj, attention.v_proj])
    gate_up = _join([mlp.gate_proj, mlp.up_proj])
    norms = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
    out, down = attention.o_proj, mlp.down_proj
    return _Layer(norms[0], qkv, (out.weight, out.bias), norms[1], gate_up, (down.weight, down.bias))


def _join(parts: Sequence[nn.Linear]) -> _Linear:
    """All of them as one; their own weights become views of it."""

    def joined(tensors: Sequence[nn.Parameter]) -> Tensor:
        whole = torch.cat([tensor.data for tensor in tensors])
        for tensor, part in zip(tensors, whole.split([len(tensor) for tensor in tensors]), strict=True):
            tensor.data = part
        return whole

    biases = [part.bias for part in parts if part.bias is not None]
    return joined([part.weight for part in parts]), joined(biases) if biases else None
