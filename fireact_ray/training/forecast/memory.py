"""What a training needs of memory, from the model's shape and the settings alone. All sizes are bytes.

The formulas count what our own loop holds: fp32 for what is trained (weights, gradients, AdamW's two moments), a frozen
base in bf16 on a GPU that has it, its matrices in four bits for QLoRA, autocast's copies of fp32 weights, activations,
and logits of trained rows only.
tests/training/forecast/test_memory.py holds them against a trace of the loop's own steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fireact_ray.training.config import TrainSettings
from fireact_ray.training.forecast.activations import Load, kept, logits
from fireact_ray.training.forecast.model_shape import ModelShape

GIB = 1 << 30
# Assumptions, until they are measured:
_CUDA = GIB  # CUDA's context and the libraries' work space
_FRAGMENTED = 0.05  # of the tensors: what the allocator holds and cannot use
_PROCESS_GPU, _PROCESS_CPU = 2 * GIB, GIB // 2  # Python, torch, CUDA's libraries, in host memory
# A weight of QLoRA's base: four bits, a byte of scale for 64 of them, four bytes for 256 scales; a matrix's 16 values.
_NF4 = 0.5 + 1 / 64 + 4 / (256 * 64)
_NF4_TABLE = 17 * 4

Sharding = Literal["ddp", "fsdp2", "zero3"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a training runs. `hosts`: machines that the workers are spread over evenly.

    ZeRO-3 is held against no trace.
    """

    workers: int = 1
    hosts: int = 1
    on_gpu: bool = True
    bf16: bool = True
    sharding: Sharding = "ddp"

    @property
    def shards(self) -> int:
        return 1 if self.sharding == "ddp" else self.workers


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
    states = {
        "weights": (_base(shape, held, config) + 4 * adapters) // layout.shards,
        "gradients": 4 * trained // layout.shards,
        "optimizer": 8 * trained // layout.shards,
        "exchange": _exchange(shape, trained, layout),
    }
    in_host = 0
    gathered = 2 if layout.on_gpu and layout.bf16 else 4  # bytes of a weight, by ZeRO-3
    if layout.sharding == "zero3":
        offloaded = config.offload_optimizer and layout.on_gpu
        states, in_host = _of_zero3(states, trained // layout.shards, gathered, offloaded)
    moving = _moving(shape, config, layout, load, copied=layout.bf16 and held == 4 and layout.shards == 1)
    tensors = sum(states.values()) + sum(moving.values())
    wasted = round(_FRAGMENTED * tensors)
    per_host = -(-layout.workers // layout.hosts)
    if layout.on_gpu:  # a worker loads its part of the base before it moves it; saving copies no more than that
        host = per_host * (_loaded(shape, held, config) // layout.shards + in_host + _PROCESS_GPU)
        return MemoryPlan(**states, **moving, overhead=_CUDA + wasted, host=host)
    return MemoryPlan(**states, **moving, overhead=wasted, host=per_host * (tensors + wasted + _PROCESS_CPU))


def _base(shape: ModelShape, held: int, config: TrainSettings) -> int:
    if config.tuning != "qlora":
        return held * shape.parameters
    matrices = shape.layers * shape.layer_matrices
    tables = _NF4_TABLE * shape.layers * len(shape.linears)
    return round(_NF4 * matrices) + tables + held * (shape.parameters - matrices)


def _loaded(shape: ModelShape, held: int, config: TrainSettings) -> int:
    """Of the base, in the host's memory on its way to a GPU: QLoRA's goes there tensor by tensor, to be quantised."""
    return held * (_largest(shape, shape.embedding) if config.tuning == "qlora" else shape.parameters)


def _largest(shape: ModelShape, *others: int) -> int:
    """Numbers in the largest matrix of a layer, or in the largest of others."""
    return max(*(linear.parameters for linear in shape.linears.values()), *others)


def _moving(shape: ModelShape, config: TrainSettings, layout: Layout, load: Load, *, copied: bool) -> dict[str, int]:
    """What is not there between steps: copies, activations, transient; at the highest of the points where the loss is
    computed, where the head's gradient is (full tuning) and where the last layer is at work."""
    parts = kept(shape, config, load, bf16=layout.bf16, on_gpu=layout.on_gpu)
    head = 6 * shape.embedding if config.tuning == "full" else 0  # its gradient in bf16, and that in fp32
    of_layer = 2 * shape.layer_matrices * copied
    copies = 2 * shape.embedding * copied + shape.layers * of_layer
    # One of QLoRA's matrices at a time is at full width again, forward and backward.
    working = parts.working + (config.tuning == "qlora") * (2 if layout.bf16 else 4) * _largest(shape)
    every = config.activation_checkpointing
    recomputed = -(-shape.layers // every) if every else 0
    activations = parts.ends + (shape.layers - recomputed) * parts.layer + recomputed * parts.entry
    moments = [logits(shape, load), head]
    after = (shape.layers - 1) % every if every else shape.layers  # layers behind the last one that is computed again
    if after:
        moments.append(working)
    if every:
        # Autocast's copies live until the loss is there; the backward pass makes those of one layer again.
        moments.append(of_layer + parts.layer + working - copies - after * parts.layer)
    return {"copies": copies, "activations": activations, "transient": max(moments)}


def _exchange(shape: ModelShape, trained: int, layout: Layout) -> int:
    if layout.workers == 1:
        return 0
    if layout.sharding == "ddp":
        return 4 * trained
    if layout.sharding == "zero3":
        return _of_deepspeed(shape, trained, 2 if layout.on_gpu and layout.bf16 else 4)
    # Gathered in bf16: the layer at work, the next one, both ends of the model; and a layer's gradients on their way.
    return 2 * (3 * shape.layer_matrices + 2 * shape.embedding)


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
