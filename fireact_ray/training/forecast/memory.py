"""What a training needs of memory, from the model's shape and the settings alone. All sizes are bytes.

The formulas count what our own loop holds: fp32 for what is trained (weights, gradients, AdamW's two moments), a frozen
base in bf16 on a GPU that has it, its matrices in four bits for QLoRA, autocast's copies of fp32 weights, activations,
and logits of trained rows only.
tests/training/forecast/test_memory.py holds them against a trace of the loop's own steps, by one worker and by one of
several under FSDP2. What DDP and ZeRO-3 exchange is held against none: DeepSpeed does not run on tensors without data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from fireact_ray.training.config import TrainSettings
from fireact_ray.training.forecast.activations import Kept, Load, kept, logits
from fireact_ray.training.forecast.fsdp2 import Gathered, Moment, moments
from fireact_ray.training.forecast.model_shape import ModelShape

GIB = 1 << 30
# Assumptions, until they are measured:
_CUDA = GIB  # CUDA's context and the libraries' work space
_FRAGMENTED = 0.05  # of the tensors: what the allocator holds and cannot use
_PROCESS_GPU, _PROCESS_CPU = 2 * GIB, GIB // 2  # Python, torch, CUDA's libraries, in host memory
# A weight of QLoRA's base: four bits, a byte of scale for 64 of them, four bytes for 256 scales; a matrix's 16 values.
_CODES, _SCALES = 0.5, 1 / 64 + 4 / (256 * 64)
_NF4_TABLE = 17 * 4

Sharding = Literal["ddp", "fsdp2", "zero3"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a training runs. `hosts`: machines that the workers are spread over evenly."""

    workers: int = 1
    hosts: int = 1
    on_gpu: bool = True
    bf16: bool = True
    sharding: Sharding = "ddp"

    @property
    def shards(self) -> int:
        return 1 if self.sharding == "ddp" else self.workers

    @property
    def number(self) -> int:
        """Bytes of a weight that is gathered, or that a matrix is made of again from four bits."""
        return 2 if self.on_gpu and self.bf16 else 4


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Of one worker at its highest point. `host`: in the memory of one machine, for all its workers."""

    weights: int
    gradients: int
    optimizer: int
    exchange: int  # DDP's buckets, or the layers that are gathered
    copies: int  # of fp32 weights, in bf16
    activations: int
    transient: int  # logits and their gradients, or a layer's backward pass, whichever is larger
    overhead: int  # CUDA's context, and what the allocator wastes
    host: int

    @property
    def tensors(self) -> int:
        states = self.weights + self.gradients + self.optimizer + self.exchange
        return states + self.copies + self.activations + self.transient

    @property
    def worker(self) -> int:
        return self.tensors + self.overhead


def plan_memory(shape: ModelShape, config: TrainSettings, layout: Layout, load: Load) -> MemoryPlan:
    """Raises InputError for a target module that this model does not have."""
    held = 2 if config.adapts and layout.on_gpu and layout.bf16 else 4  # of a base weight
    adapters = shape.adapters(config.lora.rank, config.lora.target_modules) if config.adapts else 0
    trained = adapters or shape.parameters
    offloaded = config.offload_optimizer and layout.on_gpu
    states = {
        "weights": _base(shape, held, config, layout.shards) + 4 * adapters // layout.shards,
        "gradients": 4 * trained // layout.shards,
        "optimizer": 8 * trained // layout.shards,
    }
    in_host = 0
    if layout.sharding == "zero3":
        states, in_host = _of_zero3(states, trained // layout.shards, layout.number, offloaded)
    elif offloaded:
        states["optimizer"], in_host = 0, _resting(shape, config, layout.shards)
    moving = _moving(shape, config, layout, load, held, states)
    tensors = sum(states.values()) + sum(moving.values())
    wasted = round(_FRAGMENTED * tensors)
    per_host = -(-layout.workers // layout.hosts)
    if layout.on_gpu:  # a worker loads its part of the base before it moves it; saving copies no more than that
        host = per_host * (_loaded(shape, held, config, layout.shards) + in_host + _PROCESS_GPU)
        return MemoryPlan(**states, **moving, overhead=_CUDA + wasted, host=host)
    return MemoryPlan(**states, **moving, overhead=wasted, host=per_host * (tensors + wasted + _PROCESS_CPU))


def _base(shape: ModelShape, held: int, config: TrainSettings, shards: int) -> int:
    if config.tuning != "qlora":
        return held * shape.parameters // shards
    matrices = shape.layers * shape.layer_matrices
    tables = _NF4_TABLE * shape.layers * len(shape.linears)
    # Each worker has the scales of all matrices, and its part of the codes.
    return round((_CODES / shards + _SCALES) * matrices) + tables + held * (shape.parameters - matrices) // shards


def _loaded(shape: ModelShape, held: int, config: TrainSettings, shards: int) -> int:
    """Of the base, in the host's memory on its way to a GPU: QLoRA's goes there tensor by tensor, to be quantised."""
    if config.tuning == "qlora":
        return held * _largest(shape, shape.embedding)
    return held * shape.parameters // shards


def _resting(shape: ModelShape, config: TrainSettings, shards: int) -> int:
    """AdamW's moments in host memory, a tensor for each weight (training.sharding.offload). They are pinned, and torch
    rounds such tensors up to a power of two (ATen/core/CachingHostAllocator.h)."""
    if config.adapts:
        rank = config.lora.rank
        targets = shape.targeted(config.lora.target_modules).values()
        weights = [rank * width for linear in targets for width in (linear.inputs, linear.outputs)] * shape.layers
    else:
        weights = [linear.parameters for linear in shape.linears.values()] * shape.layers
        weights += [shape.embedding] * (1 if shape.tied else 2) + [shape.hidden] * (2 * shape.layers + 1)
    return sum(2 << (4 * -(-numbers // shards) - 1).bit_length() for numbers in weights)


def _largest(shape: ModelShape, *others: int) -> int:
    """Numbers in the largest matrix of a layer, or in the largest of others."""
    return max(*(linear.parameters for linear in shape.linears.values()), *others)


def _moving(
    shape: ModelShape, config: TrainSettings, layout: Layout, load: Load, held: int, states: dict[str, int]
) -> dict[str, int]:
    """What is not there between steps: exchange, copies, activations, transient, where they are highest together."""
    computed = 2 if layout.on_gpu and layout.bf16 and (held == 2 or layout.shards > 1) else 4  # of a layer's weight
    parts = kept(shape, config, load, bf16=layout.bf16, on_gpu=layout.on_gpu, stream=computed)
    if config.tuning == "qlora":  # one of its matrices at a time is at full width again, forward and backward
        parts = replace(parts, working=parts.working + layout.number * _largest(shape))
    if layout.sharding != "fsdp2" or layout.workers == 1:
        return _without_gathering(shape, config, layout, load, parts, copied=layout.bf16 and held == 4)
    codes = _CODES if config.tuning == "qlora" else layout.number
    gathered = Gathered.of(shape, config, layout.number, codes)
    found = list(moments(gathered, parts, config, shape.layers, layout.workers, logits(shape, load)))
    if config.tuning == "qlora":  # each worker quantises the whole base, before it keeps its slice
        found.append(Moment(0, 0, _base(shape, held, config, 1) - sum(states.values())))
    highest = max(found, key=lambda moment: moment.together)
    return {"copies": 0, **asdict(highest)}


def _without_gathering(
    shape: ModelShape, config: TrainSettings, layout: Layout, load: Load, parts: Kept, *, copied: bool
) -> dict[str, int]:
    """With DDP or ZeRO-3, whose buffers are there all the time: at the highest of the points where the loss is
    computed, where the head's gradient is (full tuning) and where the last layer is at work."""
    copied = copied and layout.shards == 1
    head = 6 * shape.embedding if config.tuning == "full" else 0  # its gradient in bf16, and that in fp32
    of_layer = 2 * shape.layer_matrices * copied
    copies = 2 * shape.embedding * copied + shape.layers * of_layer
    every = config.activation_checkpointing
    recomputed = -(-shape.layers // every) if every else 0
    activations = parts.ends + (shape.layers - recomputed) * parts.layer + recomputed * parts.entry
    highest = [logits(shape, load), head]
    after = (shape.layers - 1) % every if every else shape.layers  # layers behind the last one that is computed again
    if after:
        highest.append(parts.working)
    if every:
        # Autocast's copies live until the loss is there; the backward pass makes those of one layer again.
        highest.append(of_layer + parts.layer + parts.working - copies - after * parts.layer)
    exchange = _buckets(shape, config, layout)
    return {"exchange": exchange, "copies": copies, "activations": activations, "transient": max(highest)}


def _buckets(shape: ModelShape, config: TrainSettings, layout: Layout) -> int:
    if layout.workers == 1:
        return 0
    trained = shape.adapters(config.lora.rank, config.lora.target_modules) if config.adapts else shape.parameters
    return 4 * trained if layout.sharding == "ddp" else _of_deepspeed(shape, trained, layout.number)


def _of_zero3(states: dict[str, int], trained: int, gathered: int, offloaded: bool) -> tuple[dict[str, int], int]:
    """`states` as DeepSpeed keeps them, and bytes in host memory. `trained`: parameters in a worker's part."""
    # What is gathered lies beside the fp32 that AdamW works on, even where it is fp32 itself.
    weights = states["weights"] + gathered * trained
    if not offloaded:
        return {**states, "weights": weights}, 0
    # fp32 weights, gradients twice (as they come, and as AdamW takes them), moments
    return {**states, "weights": weights - 4 * trained, "gradients": 0, "optimizer": 0}, (4 + 8 + 8) * trained


def _of_deepspeed(shape: ModelShape, trained: int, gathered: int) -> int:
    """Its buffers by training.sharding.deepspeed_settings. `gathered`: bytes of a gathered weight."""
    square, largest = shape.hidden**2, max(linear.parameters for linear in shape.linears.values())
    # As many as may be there before it stops fetching ahead, and a matrix that it began with; what is fetched together
    # comes as one piece, which is then copied.
    weights = max(shape.embedding, largest) + 2 * square + largest + (square + largest)
    gradients = 2 * min(square, trained)  # a bucket, and the same in the order of the workers
    return gathered * weights + 4 * gradients
