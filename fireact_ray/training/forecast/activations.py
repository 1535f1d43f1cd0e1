"""What a decoder keeps between its forward and its backward pass, in bytes, operation by operation.

With autocast a linear layer's input is kept in bf16; where the residual stream is fp32 (full tuning of weights that are
fp32 themselves), each linear layer makes its own bf16 copy of one input. Norms are computed in fp32 always. Varlen
attention has no mask. With sdpa a micro-batch of several lines, or of packs, has one, for which transformers repeats
the keys and values of grouped heads.
"""

from __future__ import annotations

from dataclasses import dataclass

from fireact_ray.training.config import TrainSettings
from fireact_ray.training.forecast.model_shape import ModelShape


@dataclass(frozen=True, slots=True)
class Load:
    """The largest micro-batch: `lines` of `length` tokens each, padding included; `trained_share` of the tokens have a
    loss; `packed`: lines hold several examples that a mask keeps apart."""

    lines: int
    length: int
    trained_share: float = 0.5
    packed: bool = False

    @property
    def tokens(self) -> int:
        return self.lines * self.length

    @property
    def trained_rows(self) -> int:
        return round(self.tokens * self.trained_share)

    @property
    def is_masked(self) -> bool:
        return self.packed or self.lines > 1


@dataclass(frozen=True, slots=True)
class Kept:
    """`layer`: for the backward pass of one layer; `entry`: of it only what comes in, which is all that activation
    checkpointing keeps; `ends`: outside of the layers; `passing`: what is left of that while the layers' gradients are
    made; `working`: the gradients inside a layer, while it is at work, less what it has let go by then."""

    layer: int
    entry: int
    ends: int
    passing: int
    working: int


def kept(shape: ModelShape, config: TrainSettings, load: Load, *, bf16: bool, on_gpu: bool, stream: int) -> Kept:
    """`stream`: bytes of a number in the residual stream, which is as the weights that a layer computes with.

    Raises InputError for a target module that this model does not have.
    """
    is_lora = config.adapts
    number = 2 if bf16 else 4
    tokens, hidden = load.tokens, shape.hidden
    fused = config.kernels == "liger"
    norms = _fused_norms(shape, number, stream) if fused else _norms(shape, is_lora, stream)
    per_token = norms + _attention(shape, load, number, on_gpu)
    per_token += _adapters(shape, config, number, on_gpu) if is_lora else _inputs(shape, number, stream)
    per_token += (2 if fused else 3) * number * shape.inner  # gate and up, and the gate's activation
    # Before the first adapter nothing is kept: with LoRA the first norm makes up for the last one.
    around = 0 if is_lora else (2 * stream + (0 if fused else 4)) * hidden  # the last norm
    selected = round(2 * number * hidden * load.trained_share)
    rotation = 2 * stream * shape.head_dim
    mask = load.length if load.is_masked else 0
    product = 0 if is_lora else number * shape.inner  # what comes into down_proj, which is done with it first
    ids = 2 * (8 + 8 + round(16 * load.trained_share))  # with positions, places and targets; all twice on their way
    return Kept(
        layer=round(tokens * per_token),
        entry=tokens * stream * hidden,
        ends=tokens * (around + selected + rotation + mask + ids),
        passing=tokens * (rotation + mask + ids),
        working=tokens * ((2 if fused else 3) * number * shape.inner - product + 8 * hidden),
    )


def logits(shape: ModelShape, load: Load) -> int:
    """log-probabilities, their gradient and that of the logits, in fp32, of the trained rows."""
    return 12 * shape.vocabulary * load.trained_rows


def _norms(shape: ModelShape, is_lora: bool, stream: int) -> int:
    """What comes into both norms, in fp32, and, where their weights are trained, what these are multiplied by."""
    size = (8 if is_lora else 8 + 2 * stream) * shape.hidden + 8
    if shape.qk_norm:
        size += (4 if is_lora else 6) * (shape.attention_width + shape.kv_width)
    return size


def _fused_norms(shape: ModelShape, number: int, stream: int) -> int:
    """What comes into both norms, as it is, and a number by which each was divided."""
    size = 2 * stream * shape.hidden + 8
    if shape.qk_norm:
        size += number * (shape.attention_width + shape.kv_width) + 4 * (shape.heads + shape.kv_heads)
    return size


def _attention(shape: ModelShape, load: Load, number: int, on_gpu: bool) -> int:
    """Query, key, value, the output, its log-sum-exp, and the mask as numbers to be added, made anew in each layer.

    On a CPU each example of a line has an output of its own, of which the line's is made.
    """
    kv = shape.attention_width if load.is_masked else shape.kv_width
    outputs = 1 if on_gpu or load.is_masked else 2
    mask = number * load.length if load.is_masked else 0
    return number * ((1 + outputs) * shape.attention_width + 2 * kv) + 4 * shape.heads + mask


def _inputs(shape: ModelShape, number: int, stream: int) -> int:
    """Of trained linear layers; the attention's output is kept already. Five share two inputs, or copy them."""
    inputs = 2 if stream == number else 5
    return number * (inputs * shape.hidden + shape.inner)


def _adapters(shape: ModelShape, config: TrainSettings, number: int, on_gpu: bool) -> int:
    targets = shape.targeted(config.lora.target_modules)
    inner = sum(number * config.lora.rank for _ in targets)
    if config.lora.dropout:
        noise = 1 if on_gpu else number  # a GPU's dropout keeps which, a CPU's keeps a factor
        return inner + sum((noise + number) * linear.inputs for linear in targets.values())
    groups = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("down_proj",))  # of one input each
    return inner + sum(number * targets[there[0]].inputs for g in groups if (there := [n for n in g if n in targets]))
