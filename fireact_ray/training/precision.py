"""fp32 or bf16: what this hardware does fast.

A CPU without bf16 instructions emulates them: a training step then takes nine times as long as in fp32
(docs/results.md). So `auto` asks the hardware first, and on a CPU that has them it believes a clock, not a flag.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

Measure = Callable[[bool], float]  # seconds of the same work, in bf16 or not

_CPUINFO = Path("/proc/cpuinfo")
_CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86's two, and Arm's
_WORTH_IT = 0.9  # of fp32's time: for less than a tenth nobody gives away bits
_ROWS = 8  # of activations, for timing a layer: about what a decoding step has


@dataclass(frozen=True, slots=True)
class Precision:
    """What is computed with. `reason`: why, in words for the log."""

    bf16: bool
    reason: str

    def __str__(self) -> str:
        return f"{'bf16' if self.bf16 else 'fp32'} ({self.reason})"


def has_bf16(device: torch.device, cpuinfo: str | None = None) -> bool:
    """Whether the device has bf16 instructions of its own. `cpuinfo`: Linux' description of the CPU, unless read here.

    On a system without /proc/cpuinfo the answer for a CPU is no, which costs speed at most.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    text = _read_cpuinfo() if cpuinfo is None else cpuinfo
    lines = (line.partition(":") for line in text.splitlines())
    flags = {flag for name, _, value in lines if name.strip() in ("flags", "Features") for flag in value.split()}
    return bool(flags & _CPU_FLAGS)


def computes_bf16(*, on_gpu: bool) -> bool:
    """`has_bf16` of the device that a model is to answer on, for who does not import torch."""
    return has_bf16(torch.device("cuda" if on_gpu else "cpu"))


def by_hardware(asked: str, device: torch.device) -> Precision:
    """`asked`: auto, fp32 or bf16. For auto on a CPU with bf16 instructions this is a guess to be measured."""
    if asked != "auto":
        slow = asked == "bf16" and not has_bf16(device)
        return Precision(asked == "bf16", "as asked; this hardware only emulates it" if slow else "as asked")
    kind = "GPU" if device.type == "cuda" else "CPU"
    if has_bf16(device):
        return Precision(True, f"this {kind} has bf16 instructions")
    return Precision(False, f"this {kind} has no bf16 instructions")


def confirmed(guess: Precision, asked: str, device: torch.device, measure: Measure) -> Precision:
    """`guess` where nothing is to be decided; else what a clock says. bf16 must save a tenth of fp32's time."""
    if asked != "auto" or device.type != "cpu" or not guess.bf16:
        return guess
    measure(False), measure(True)  # caches and thread pools are warm from here on
    slow, fast = measure(False), measure(True)
    return Precision(fast <= _WORTH_IT * slow, f"measured here: bf16 takes {fast / slow:.2f} of fp32's time")


def for_inference(model: nn.Module, device: torch.device) -> Precision:
    """Of a model that is to answer on `device`: by its largest linear layer, so that no second model is in memory."""
    guess = by_hardware("auto", device)
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not layers:
        return guess
    largest = max(layers, key=lambda layer: layer.weight.numel())
    return confirmed(guess, "auto", device, lambda bf16: _layer_seconds(largest, bf16))


@cache
def _read_cpuinfo() -> str:
    return _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.is_file() else ""


def _layer_seconds(layer: nn.Linear, bf16: bool) -> float:
    weight = layer.weight.detach().to(torch.bfloat16 if bf16 else torch.float32)
    rows = torch.ones(_ROWS, weight.shape[1], dtype=weight.dtype)
    started = time.perf_counter()
    for _ in range(10):
        F.linear(rows, weight)
    return time.perf_counter() - started
