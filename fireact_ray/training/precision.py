"""fp32 or bf16: what this hardware does fast.

A CPU without bf16 instructions emulates them: a training step then takes nine times as long as in fp32
(docs/results.md). So `auto` asks the hardware first, and on a CPU that has them it believes a clock, not a flag.

Clocks waver, and a training's steps and greedy replies must not: what was measured first holds. A checkpoint says it to
the training that resumes, a machine's cache to every engine there.
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

from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.node_cache import default_cache_dir, held
from fireact_ray.core.storage.part_file import write_whole

Measure = Callable[[bool], float]  # seconds of the same work, in bf16 or not

_CPUINFO = Path("/proc/cpuinfo")
_CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86's two, and Arm's
_WORTH_IT = 0.9  # of fp32's time: for less than a tenth nobody gives away bits
_ROWS = 8  # of activations, for timing a layer: about what a decoding step has
_TRIES = 5  # of which the fastest counts: what else a machine does makes a try slower, never faster


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


def for_training(asked: str, device: torch.device, measure: Measure, before: bool | None) -> Precision:
    """Of all steps of a training. `before`: whether those of the checkpoint it resumes from were in bf16, if known."""
    guess = by_hardware(asked, device)
    if not _is_open(guess, asked, device):
        return guess
    if before is not None:
        return Precision(before, "as before the checkpoint")
    measure(False), measure(True)  # caches and thread pools are warm from here on
    return _faster(measure(True) / measure(False))


def for_inference(model: nn.Module, device: torch.device, asked: str = "auto") -> Precision:
    """Of a model that is to answer on `device`: by its largest linear layer, so that no second model is in memory.

    Raises InputError where this machine's cache cannot be written.
    """
    guess = by_hardware(asked, device)
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not layers or not _is_open(guess, asked, device):
        return guess
    largest = max(layers, key=lambda layer: layer.weight.numel())
    return _faster(_kept_here(largest.weight.shape, lambda: _layer_ratio(largest)))


def _is_open(guess: Precision, asked: str, device: torch.device) -> bool:
    """Whether a clock is to decide."""
    return asked == "auto" and device.type == "cpu" and guess.bf16


def _faster(ratio: float) -> Precision:
    """`ratio`: of bf16's time to fp32's. bf16 must save a tenth."""
    return Precision(ratio <= _WORTH_IT, f"measured here: bf16 takes {ratio:.2f} of fp32's time")


def _kept_here(shape: torch.Size, measure: Callable[[], float]) -> float:
    """What was measured first of a layer of that shape by this CPU and this torch, in whatever process."""
    folder = default_cache_dir() / "precision"
    with held(folder, "another process that times this CPU"):
        file = folder / f"{content_hash([_cpu_kind(), torch.__version__, list(shape)], 16)}.json"
        if not file.is_file():
            write_whole(file, f"{measure():.3f}\n")
        return float(parse(file.read_bytes()))


@cache
def _read_cpuinfo() -> str:
    return _CPUINFO.read_text(encoding="utf-8") if _CPUINFO.is_file() else ""


def _cpu_kind() -> list[str]:
    """Model and flags, of its first core."""
    lines = (line.partition(":") for line in _read_cpuinfo().partition("\n\n")[0].splitlines())
    return [value.strip() for name, _, value in lines if name.strip() in ("model name", "flags", "Features")]


def _layer_ratio(layer: nn.Linear) -> float:
    """Of bf16's seconds to fp32's, by turns."""
    turns = [(_layer_seconds(layer, False), _layer_seconds(layer, True)) for _ in range(1 + _TRIES)][1:]
    return min(fast for _, fast in turns) / min(slow for slow, _ in turns)


def _layer_seconds(layer: nn.Linear, bf16: bool) -> float:
    weight = layer.weight.detach().to(torch.bfloat16 if bf16 else torch.float32)
    rows = torch.ones(_ROWS, weight.shape[1], dtype=weight.dtype)
    started = time.perf_counter()
    for _ in range(10):
        F.linear(rows, weight)
    return time.perf_counter() - started
