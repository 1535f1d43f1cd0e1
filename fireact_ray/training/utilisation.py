"""Model FLOPs utilisation (MFU): the FLOPs that a training cannot do without, over what its GPUs can do at most.

PaLM's report defines it (appendix B; arXiv:2204.02311). Here nothing counts that causal attention masks away, and a
frozen weight has no gradient (forecast.gpus.flops_per_token). Padding and what is computed twice are no use.
"""

from __future__ import annotations

import numpy as np
import torch

from fireact_ray.core.errors import InputError
from fireact_ray.training.base import read_config
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Sizes
from fireact_ray.training.forecast.gpus import Gpu, flops_per_token, gpu_of_driver
from fireact_ray.training.forecast.model_shape import ModelShape


def mfu_of_one(config: TrainConfig, sizes: Sizes, device: torch.device, workers: int, bf16: bool) -> float | None:
    """The MFU of one token a second, over all workers. None on a CPU, and where the GPU's peak or the model's FLOPs are
    not known."""
    gpu = gpu_of_driver(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
    if gpu is None:
        return None
    try:
        shape = ModelShape.from_config(read_config(config.base_model))
    except InputError:  # another kind of model, which trains as well
        return None
    return share_of_peak(shape, config, sizes, gpu, workers, bf16)


def share_of_peak(
    shape: ModelShape, config: TrainConfig, sizes: Sizes, gpu: Gpu, workers: int, bf16: bool
) -> float | None:
    """Of `workers` GPUs, by one token a second of rows of these sizes. None where bf16 is emulated."""
    peak = gpu.bf16 if bf16 else gpu.fp32
    if peak is None:
        return None
    lengths = sizes.lengths.astype(np.float64)
    tokens = float(lengths.sum())
    seen = float((lengths * lengths).sum()) / 2 / tokens  # tokens that a token looks back at, on average
    trained_share = float(sizes.trained.sum()) / tokens
    return flops_per_token(shape, config, seen, trained_share) / (peak * 1e12 * workers)
