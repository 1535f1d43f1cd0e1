"""What DeepSpeed is told, and how it is brought in without its noise."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

import torch
from torch import nn

from fireact_ray.training.config import TrainConfig


def import_deepspeed(device: torch.device) -> None:
    """Import DeepSpeed for `device`. Nothing is compiled; of its own messages the warnings stay, in our log."""
    os.environ.setdefault("DS_ACCELERATOR", device.type)  # else it looks for itself, and warns of a CPU
    os.environ.setdefault("LOCAL_RANK", str(device.index or 0))  # torchrun and Ray Train say it anyway
    import deepspeed.ops

    # Of its own kernels none is used: torch has AdamW, torch.distributed exchanges. Left alone it would compile one
    # for a CPU's shared memory, which takes minutes.
    deepspeed.ops.__compatible_ops__ = {}
    log = logging.getLogger("DeepSpeed")
    log.handlers.clear()  # which write to stdout
    log.propagate = True
    # torch's newer names for what DeepSpeed calls: nothing that anybody here could change.
    warnings.filterwarnings("ignore", "`torch.distributed.*is deprecated", FutureWarning)


def deepspeed_settings(model: nn.Module, config: TrainConfig, *, bf16: bool, offloaded: bool) -> dict[str, Any]:
    """The `config` of deepspeed.initialize. `model`: before its parameters are partitioned."""
    host = {"offload_optimizer": {"device": "cpu", "pin_memory": True}} if offloaded else {}
    return {
        # The loop decides how many passes make a step, and what a loss is divided by.
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.max_grad_norm,
        "bf16": {"enabled": bf16},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",  # of gradients
        "zero_force_ds_cpu_optimizer": False,  # in host memory torch's AdamW works as well
        "zero_optimization": {
            "stage": 3,
            **_buffers(model),
            **host,
            "stage3_param_persistence_threshold": 0,  # each parameter is partitioned, small ones too
            "memory_efficient_linear": False,  # it would stay in torch for good
        },
    }


def _buffers(model: nn.Module) -> dict[str, int]:
    """In numbers of parameters. A matrix of the model's width is enough to be fetched while another is at work."""
    sizes = [p.numel() for p in model.parameters()]
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    width: int = model.get_input_embeddings().embedding_dim
    square = width * width
    return {
        "reduce_bucket_size": min(square, trained),
        "stage3_prefetch_bucket_size": square,
        "stage3_max_live_parameters": max(sizes) + 2 * square,
        "stage3_max_reuse_distance": 0,
        "sub_group_size": 4 * square,  # what AdamW takes at a time
    }
