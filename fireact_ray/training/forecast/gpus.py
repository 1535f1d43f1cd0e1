"""GPUs by name, and how long one takes for a training: planned, not measured.

Memory is what the driver reports in MiB, which differs from the product's name. Peaks are dense, in TFLOP/s, from
NVIDIA's datasheets and white papers: bf16 on tensor cores with fp32 sums, fp32 outside of them (torch uses TF32 only
where it is told to).
"""

from __future__ import annotations

from dataclasses import dataclass

from fireact_ray.core.errors import InputError
from fireact_ray.core.utils.text import nearest
from fireact_ray.training.config import TrainSettings
from fireact_ray.training.forecast.model_shape import ModelShape

UTILISATION = 0.4  # of the peak; an assumption until it is measured


@dataclass(frozen=True, slots=True)
class Gpu:
    """`bf16` None: it has no bf16 instructions, so that `precision: auto` computes in fp32."""

    name: str
    mib: int
    bf16: float | None
    fp32: float

    @property
    def memory(self) -> int:
        """Bytes."""
        return self.mib << 20

    def has_bf16(self, precision: str) -> bool:
        """Whether a training computes in bf16 here. `precision`: auto, bf16 or fp32."""
        return precision == "bf16" or (precision == "auto" and self.bf16 is not None)


# The smallest first.
GPUS = (
    Gpu("T4", 15_360, None, 8.1),
    Gpu("RTX-4090", 24_564, 165.2, 82.6),
    Gpu("A100-40", 40_960, 312.0, 19.5),
    Gpu("L40S", 46_068, 362.0, 91.6),
    Gpu("H100", 81_559, 989.0, 67.0),
    Gpu("A100-80", 81_920, 312.0, 19.5),
    Gpu("H200", 143_771, 989.0, 67.0),
)
_OTHERWISE = {
    "4090": "RTX-4090",
    "A100": "A100-40",  # the smaller of the two: what fits there fits on both
    "A100-40G": "A100-40",
    "A100-80G": "A100-80",
    "H100-80": "H100",
    "H200-141": "H200",
    "L40S-48": "L40S",
    "T4-16": "T4",
    "4090-24": "RTX-4090",
}
_BY_DRIVER = {  # those that have the peak of the table: an H100 for PCIe has a lower one
    "Tesla T4": "T4",
    "NVIDIA GeForce RTX 4090": "RTX-4090",
    "NVIDIA A100-SXM4-40GB": "A100-40",
    "NVIDIA A100-PCIE-40GB": "A100-40",
    "NVIDIA L40S": "L40S",
    "NVIDIA H100 80GB HBM3": "H100",
    "NVIDIA A100-SXM4-80GB": "A100-80",
    "NVIDIA A100 80GB PCIe": "A100-80",
    "NVIDIA H200": "H200",
}


def find_gpu(name: str) -> Gpu:
    """By its name in any case, or by Ray's. Raises InputError for one that is not in the table."""
    wanted = name.strip().upper().replace(" ", "-")
    wanted = _OTHERWISE.get(wanted, wanted)
    for gpu in GPUS:
        if gpu.name == wanted:
            return gpu
    known = [gpu.name for gpu in GPUS]
    hint = f" Did you mean '{near}'?" if (near := nearest(wanted, known)) else ""
    raise InputError(f"GPU '{name}' is not known.{hint} Known: {', '.join(known)}.")


def gpu_of_driver(name: str) -> Gpu | None:
    """By the name that its driver gives, which torch.cuda.get_device_name returns; None where its peak is not known."""
    known = _BY_DRIVER.get(name)
    return None if known is None else find_gpu(known)


def flops_per_token(shape: ModelShape, config: TrainSettings, length: float, trained_share: float) -> float:
    """Model FLOPs for one token, forward and backward, nothing computed twice.

    Two for a weight in the forward pass, two for the gradient of its input, two for its own gradient, which a frozen
    weight has not: 6 N for full tuning, 4 N for LoRA and QLoRA (and 6 for their adapters). N: weights that multiply,
    the head's for trained tokens only. Attention adds 12 x layers x width x length, as PaLM's report counts it
    (appendix B; arXiv:2204.02311).
    """
    weights = shape.layers * shape.layer_matrices + trained_share * shape.embedding
    attention = 12.0 * shape.layers * shape.attention_width * length
    if config.tuning == "full":
        return 6 * weights + attention
    return 4 * weights + 6 * shape.adapters(config.lora.rank, config.lora.target_modules) + attention


def flops_again(shape: ModelShape, config: TrainSettings, length: float) -> float:
    """FLOPs for one token of the layers that activation checkpointing computes again: their forward pass."""
    if config.activation_checkpointing is None:
        return 0.0
    recomputed = -(-shape.layers // config.activation_checkpointing)
    return recomputed * (2 * shape.layer_matrices + 4.0 * shape.attention_width * length)


def training_hours(flops: float, gpu: Gpu, config: TrainSettings, workers: int) -> float:
    """At the assumed utilisation. Raises InputError where bf16 is asked of a GPU that has none."""
    peak = gpu.bf16 if gpu.has_bf16(config.precision) else gpu.fp32
    if peak is None:
        raise InputError(f"train.precision: {gpu.name} has no bf16 instructions; set precision auto or fp32.")
    return flops / (peak * 1e12 * UTILISATION * workers) / 3600
