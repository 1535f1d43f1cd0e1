"""Models made up on the device, rows like FireAct's, and the floating-point operations that training them takes.

Shapes are those of the published configs; weights are random, so nothing is downloaded or read from a disk. Speed and
memory do not depend on what the weights are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig

from fireact_ray.training.data import Row
from fireact_ray.training.forecast.model_shape import ModelShape

PEAK_FLOPS = 989e12  # of an H100 or H200 (SXM) in bf16 without sparsity, by NVIDIA's data sheets
TRAINED_SHARE = 0.48  # thoughts and actions, of FireAct's released rows in Llama-2's tokens
# Lengths of FireAct's 500 HotpotQA rows in Llama-2's tokens: shares of the rows, and the length up to which they go.
_SHARES = (0.0, 0.5, 0.95, 0.99, 1.0)
_LENGTHS = (120, 253, 421, 544, 604)


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama's sizes. `kv_heads` below `heads`: grouped queries."""

    name: str
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int = 32_000

    def of_layers(self, layers: int) -> Shape:
        return replace(self, name=f"{self.name}, {layers} layers", layers=layers)

    @property
    def layer_weights(self) -> int:
        """Of all layers' matrices."""
        key_or_value = self.hidden * self.hidden * self.kv_heads // self.heads
        return self.layers * (2 * self.hidden**2 + 2 * key_or_value + 3 * self.hidden * self.inner)

    @property
    def head_weights(self) -> int:
        return self.hidden * self.vocabulary

    @property
    def weights(self) -> int:
        """All matrices: layers, embedding and head."""
        return self.layer_weights + 2 * self.head_weights

    @property
    def planned(self) -> ModelShape:
        """As `fireact plan` reckons with it."""
        head = self.hidden // self.heads
        return ModelShape(self.hidden, self.inner, self.layers, self.heads, self.kv_heads, head, self.vocabulary)


LLAMA_2_7B = Shape("Llama-2-7B", 4096, 11_008, 32, 32, 32)
CODELLAMA_34B = Shape("CodeLlama-34B", 8192, 22_016, 48, 64, 8)
TINY = Shape("tiny", 64, 176, 2, 4, 4, vocabulary=512)
TINY_GROUPED = Shape("tiny, grouped", 64, 176, 2, 4, 2, vocabulary=512)


def build(shape: Shape, device: torch.device, dtype: torch.dtype) -> Any:
    """Weights drawn on the device, in `dtype` from the start."""
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


def build_quantized(shape: Shape, device: torch.device, dtype: torch.dtype) -> Any:
    """As training.quantized loads one: linear layers of the decoder in four bits, the rest in `dtype`.

    One layer after the other is drawn and quantised, so that the whole model is never there at full width.
    """
    model = build(shape.of_layers(1), device, dtype)
    draw = type(model.model.layers[0])
    layers = []
    for i in range(shape.layers):
        with torch.device(device):
            layer = draw(model.config, i).to(dtype)
        for name, linear in [(n, m) for n, m in layer.named_modules() if isinstance(m, nn.Linear)]:
            layer.set_submodule(name, _in_four_bits(linear, device, dtype))
        layers.append(layer)
    model.model.layers = nn.ModuleList(layers)
    model.config.num_hidden_layers = shape.layers
    model.is_loaded_in_4bit = True  # by which PEFT knows
    return model.requires_grad_(False)


def _in_four_bits(linear: nn.Linear, device: torch.device, dtype: torch.dtype) -> nn.Module:
    from bitsandbytes.nn import Linear4bit, Params4bit

    how = {"compress_statistics": True, "quant_type": "nf4", "quant_storage": torch.uint8}
    layer = Linear4bit(linear.in_features, linear.out_features, bias=False, compute_dtype=dtype, device="meta", **how)
    layer.weight = Params4bit(linear.weight.data, requires_grad=False, module=layer, **how).to(device)
    layer.support_avx512bf16_for_cpu = False
    return layer


def make_rows(n: int, vocabulary: int, length: int | None = None, seed: int = 0) -> tuple[Row, ...]:
    """Random tokens; `length` each, or as long as FireAct's rows. The last `TRAINED_SHARE` of a row is trained."""
    draw = np.random.default_rng(seed)
    rows = []
    for i, share in enumerate(draw.random(n)):
        size = length or round(float(np.interp(share, _SHARES, _LENGTHS)))
        mask = np.zeros(size, np.int8)
        mask[-round(TRAINED_SHARE * size) :] = 1
        rows.append(Row(f"t{i:05d}", draw.integers(2, vocabulary, size, dtype=np.int32), mask))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Flops:
    """Of one step. A product of (m, k) and (k, n) counts 2 m k n; causal attention counts the half that is not masked.

    `needed`: what the step cannot do without. A weight costs 2 a token forward and 2 for the gradient of its input;
    2 more where it is trained, so 4 a frozen weight and 6 a trained one; the head only at trained tokens. Nothing
    is counted for padding, recomputation or what attention masks away. `six_n`: the usual 6 a weight, frozen or not,
    and the head at every token, to set beside figures that are given so.
    """

    needed: float
    six_n: float


def step_flops(shape: Shape, lengths: Sequence[int], trained_tokens: int, adapters: int | None) -> Flops:
    """`lengths` of the step's examples; `adapters`: LoRA's weights, None where all weights are trained."""
    tokens = sum(lengths)
    attention = (
        6 * shape.layers * shape.hidden * sum(length * length for length in lengths)
    )  # backward is twice forward
    each = 6 if adapters is None else 4
    needed = each * (shape.layer_weights * tokens + shape.head_weights * trained_tokens) + attention
    six_n = 6 * (shape.layer_weights + shape.head_weights) * tokens + attention
    return Flops(needed + 6 * (adapters or 0) * tokens, six_n)
