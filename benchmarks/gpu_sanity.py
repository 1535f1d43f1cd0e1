"""Is it right before it is fast? Losses of a tiny Llama over 20 steps on the device against fp32 on the CPU."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from benchmarks.gpu_shapes import TINY, build, make_rows
from fireact_ray.training.batching import plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Sizes
from fireact_ray.training.model import prepare
from fireact_ray.training.precision import has_bf16
from fireact_ray.training.sharding.base import Here
from fireact_ray.training.sharding.ddp import Ddp
from fireact_ray.training.stepping import Stepper

_STEPS, _ROWS_PER_STEP = 20, 4  # the same rows each time, so that what an optimizer does wrong shows
# Of a loss of about 6 nats. fp32 differs by the order of sums; bf16 has three digits.
_ALLOWED = {"fp32": 2e-3, "bf16": 1e-1}
_RATES = {"full": 3e-3, "lora": 1e-2}  # twice as high, and bf16's rounding takes another way down
_CPU = torch.device("cpu")


def compare_losses(device: torch.device) -> list[dict[str, Any]]:
    """One entry for each tuning, precision, attention and kernels, with the largest difference of any step's loss."""
    entries = []
    for tuning in ("full", "lora"):
        expected = _losses(tuning, _CPU, bf16=False)
        for precision in ("fp32", "bf16") if has_bf16(device) else ("fp32",):
            for attention, checkpointing, kernels in _ways(device):
                losses = _losses(tuning, device, precision == "bf16", attention, checkpointing, kernels)
                worst = max(abs(a - b) for a, b in zip(losses, expected, strict=True))
                entries.append(
                    {
                        "tuning": tuning,
                        "precision": precision,
                        "attention": attention,
                        "checkpointing": checkpointing,
                        "kernels": kernels,
                        "first_loss": losses[0],
                        "last_loss": losses[-1],
                        "expected_last_loss": expected[-1],
                        "largest_difference": worst,
                        "allowed": _ALLOWED[precision],
                        "right": worst <= _ALLOWED[precision],
                    }
                )
    return entries


def _ways(device: torch.device) -> list[tuple[str, bool, str]]:
    """Attention, whether layers are computed again, kernels."""
    ways = [("sdpa", False, "torch"), ("varlen", False, "torch"), ("varlen", True, "torch")]
    fused = device.type == "cuda" and importlib.util.find_spec("liger_kernel") is not None
    return [*ways, ("varlen", True, "liger")] if fused else ways


def _losses(
    tuning: str,
    device: torch.device,
    bf16: bool,
    attention: str = "sdpa",
    checkpointing: bool = False,
    kernels: str = "torch",
) -> list[float]:
    """Mean loss per trained token of each step, from the same weights and rows every time."""
    config = TrainConfig.from_dict(
        {
            "base_model": "made-up",
            "tuning": tuning,
            "epochs": _STEPS,
            "learning_rate": _RATES[tuning],
            "lora_dropout": 0.0,
            "global_batch_size": _ROWS_PER_STEP,
            "micro_batch_tokens": 2048,
            "attention": attention,
            "activation_checkpointing": 1 if checkpointing else None,
            "kernels": kernels,
        }
    )
    torch.manual_seed(0)
    # A frozen base is held in bf16 on a GPU, as the loop holds it.
    base = build(TINY, _CPU, torch.float32).to(torch.bfloat16 if bf16 and tuning == "lora" else torch.float32)
    torch.manual_seed(1)
    prepared = prepare(base.to(device), config)
    here = Here(0, 1, device)
    rows = make_rows(_ROWS_PER_STEP, TINY.vocabulary)
    stepper = Stepper(Ddp(prepared, config, here), rows, config, here)
    return [
        float(stepper.take(stepper.ready(step), config.learning_rate, bf16)[0].sum()) / step.trained_tokens
        for step in plan_steps(Sizes.of(rows), config, varlen=prepared.varlen)
    ]
