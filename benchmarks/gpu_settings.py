"""What is measured: groups of settings that share one model, in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.gpu_shapes import CODELLAMA_34B, LLAMA_2_7B, TINY, TINY_GROUPED, Shape

_Q_AND_V = ("q_proj", "v_proj")  # as FireAct, and the recipe `hotpotqa`


@dataclass(frozen=True, slots=True)
class Setting:
    """`needs_gib`: of memory, estimated; with less on the device the setting is left out, and said so. `length`: of
    every row; None: as long as FireAct's. `masked`: attention sdpa, a row or a pack a line; otherwise varlen, all rows
    of a pass in one line. `checkpointing` N: activations of every N-th layer are computed again; 0: of none.
    `compiled`: layers through torch.compile. `kernels`: as train.kernels. `profiled`: also, for one step,
    where a GPU's time goes and how often the host waits for it.
    """

    name: str
    needs_gib: float
    micro_batch_tokens: int
    pack_tokens: int | None = None
    length: int | None = None
    rows_per_step: int = 128
    masked: bool = False
    checkpointing: int = 0
    compiled: bool = False
    kernels: str = "torch"
    profiled: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    shape: Shape
    tuning: str
    settings: tuple[Setting, ...]
    targets: tuple[str, ...] | None = None  # of LoRA; None: every linear layer but the head
    dropout: float = 0.05


# Estimates: without recomputation 5.6 MB a token of a 7B and 15 MB of a 34B, dropout's masks included, beside weights
# (13 and 68 GB in bf16; 16 bytes a weight where all are trained) and the logits of trained tokens.
GROUPS = (
    Group(
        LLAMA_2_7B,
        "lora",
        targets=_Q_AND_V,
        settings=(
            Setting("one line, 8192 a pass", 62, 8192, profiled=True),
            Setting("one line, 4096 a pass", 38, 4096),
            Setting("one line, 2048 a pass", 26, 2048),
            Setting("packs of 2048, masked, 8192 a pass", 62, 8192, pack_tokens=2048, masked=True, profiled=True),
            Setting("a row a line, masked, 8192 a pass", 62, 8192, masked=True),
            Setting("rows of 2048, 8192 a pass", 62, 8192, length=2048, rows_per_step=16),
            Setting("one line, 16384 a pass, recomputed", 28, 16_384, checkpointing=1),
            Setting("one line, 16384 a pass", 104, 16_384),
        ),
    ),
    Group(
        LLAMA_2_7B,
        "lora",
        settings=(Setting("all linear layers, one line, 8192 a pass", 72, 8192, profiled=True),),
    ),
    Group(
        CODELLAMA_34B,
        "lora",
        targets=_Q_AND_V,
        settings=(
            Setting("one line, 4096 a pass", 126, 4096, rows_per_step=32, profiled=True),
            Setting("packs of 2048, masked, 4096 a pass", 126, 4096, pack_tokens=2048, rows_per_step=32, masked=True),
            Setting("one line, 4096 a pass, recomputed", 72, 4096, rows_per_step=32, checkpointing=1),
        ),
    ),
    Group(
        LLAMA_2_7B,
        "full",
        settings=(
            Setting("one line, 8192 a pass, recomputed", 122, 8192, checkpointing=1),
            Setting("one line, 2048 a pass", 128, 2048, rows_per_step=64),
        ),
    ),
    # Last, as nobody knows beforehand how long compiling takes.
    Group(
        LLAMA_2_7B,
        "lora",
        targets=_Q_AND_V,
        settings=(
            Setting("rows of 2048, 8192 a pass, compiled", 62, 8192, length=2048, rows_per_step=16, compiled=True),
            Setting("one line, 8192 a pass, compiled", 62, 8192, compiled=True, profiled=True),
            Setting("one line, 8192 a pass, compiled, recomputed", 62, 8192, compiled=True, checkpointing=1),
        ),
    ),
)


# What the project has goals for, in their order, and fused kernels beside: about four minutes.
_FULL_ROWS = Setting("rows of 2048, 8192 a pass", 56, 8192, length=2048, rows_per_step=16)
_OF_34B = Setting("rows of 2048, 4096 a pass", 120, 4096, length=2048, rows_per_step=4)
_FOUR_BITS = Setting("one line, 2048 a pass, recomputed", 24, 2048, rows_per_step=16, checkpointing=1)


def _fused(setting: Setting) -> Setting:
    return replace(setting, name=f"{setting.name}, liger", kernels="liger")


_HALF_RECOMPUTED = Setting("rows of 2048, 4096 a pass, half recomputed", 130, 4096, None, 2048, 16, checkpointing=2)
_RECOMPUTED = Setting("rows of 2048, 16384 a pass, recomputed", 128, 16_384, None, 2048, 16, checkpointing=1)
# One setting of each goal comes first, so that a short run has them all.
GOALS = (
    Group(LLAMA_2_7B, "lora", (_fused(_FULL_ROWS), _FULL_ROWS), targets=_Q_AND_V),
    Group(CODELLAMA_34B, "lora", (_fused(_OF_34B),), targets=_Q_AND_V),
    Group(CODELLAMA_34B, "qlora", (_FOUR_BITS,), targets=_Q_AND_V),
    Group(LLAMA_2_7B, "full", (_fused(_HALF_RECOMPUTED), _fused(_RECOMPUTED))),
    Group(
        LLAMA_2_7B,
        "lora",
        (
            Setting("one line, 8192 a pass", 56, 8192),
            _fused(Setting("one line, 8192 a pass", 48, 8192, profiled=True)),
            _fused(Setting("one line, 16384 a pass", 80, 16_384)),
        ),
        targets=_Q_AND_V,
    ),
    Group(
        CODELLAMA_34B,
        "lora",
        (_OF_34B, _fused(Setting("one line, 6144 a pass", 126, 6144, rows_per_step=44))),
        targets=_Q_AND_V,
    ),
    Group(CODELLAMA_34B, "qlora", (_fused(_FOUR_BITS),), targets=_Q_AND_V),
    Group(
        LLAMA_2_7B,
        "full",
        (_fused(Setting("rows of 2048, 2048 a pass", 128, 2048, length=2048, rows_per_step=16)), _RECOMPUTED),
    ),
    Group(
        LLAMA_2_7B,
        "qlora",
        (
            replace(_FOUR_BITS, name=f"all linear layers, {_FOUR_BITS.name}", needs_gib=8),
            Setting("all linear layers, one line, 4096 a pass", 38, 4096, rows_per_step=32),
        ),
    ),
    Group(
        LLAMA_2_7B,
        "lora",
        (
            replace(_FULL_ROWS, name=f"{_FULL_ROWS.name}, compiled", compiled=True),
            Setting("one line, 8192 a pass, compiled", 56, 8192, compiled=True),
        ),
        targets=_Q_AND_V,
    ),
)


def quick(groups: Sequence[Group]) -> list[Group]:
    """Every setting on two layers of full width: finds what breaks, measures nothing."""
    return [replace(group, shape=group.shape.of_layers(2), settings=_less(group.settings, share=4)) for group in groups]


def tiny(groups: Sequence[Group]) -> list[Group]:
    """Every setting on a model of no size, for a CPU."""
    return [
        replace(
            group,
            shape=TINY_GROUPED if group.shape.kv_heads < group.shape.heads else TINY,
            settings=_less(group.settings, share=8),
        )
        for group in groups
    ]


def _less(settings: Sequence[Setting], share: int) -> tuple[Setting, ...]:
    return tuple(replace(s, needs_gib=0.0, rows_per_step=max(2, s.rows_per_step // share)) for s in settings)
