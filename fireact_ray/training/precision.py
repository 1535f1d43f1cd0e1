"""fp32 or bf16: what this hardware does fast.

A CPU without bf16 instructions emulates them: a training step then takes nine times as long as in fp32
(docs/results.md). So `auto` asks the hardware first, and on a CPU that has them it believes a clock, not a flag.

Clocks waver, and a training's steps and greedy replies must not: what was measured first holds. A checkpoint says it to
the training that resumes, a machine's cache to every engine there.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
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
Work = Callable[[], object]

_CPUINFO = Path("/proc/cpuinfo")
_CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86's two, and Arm's
_WORTH_IT = 0.9  # of fp32's time: for less than a tenth nobody gives away bits
_ROWS = 8  # about what a decoding step has
_SMALL = 100_000_000  # weights, of which there may be a copy
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
    """Of a model that is to answer on `device`: of a small one by a whole pass, as most of its time is between its
    layers; of a large one by its largest linear layer, so that no second model is in memory.

    Raises InputError where this machine's cache cannot be written.
    """
    guess = by_hardware(asked, device)
    if not _is_open(guess, asked, device):
        return guess
    size = sum(weight.numel() for weight in model.parameters())
    if size <= _SMALL:
        return _faster(_kept_here(["pass", size], lambda: _ratio(_passes(model))))
    layers = (module for module in model.modules() if isinstance(module, nn.Linear))
    largest = max(layers, key=lambda layer: layer.weight.numel())
    return _faster(_kept_here(["layer", *largest.weight.shape], lambda: _ratio(_products(largest))))


def _is_open(guess: Precision, asked: str, device: torch.device) -> bool:
    """Whether a clock is to decide."""
    return asked == "auto" and device.type == "cpu" and guess.bf16


def _faster(ratio: float) -> Precision:
    """`ratio`: of bf16's time to fp32's. bf16 must save a tenth."""
    return Precision(ratio <= _WORTH_IT, f"measured here: bf16 takes {ratio:.2f} of fp32's time")


def _kept_here(work: Sequence[str | int], measure: Callable[[], float]) -> float:
    """What was measured first of that work by this CPU and this torch, in whatever process."""
    folder = default_cache_dir() / "precision"
    with held(folder, "another process that times this CPU"):
        file = folder / f"{content_hash([_cpu_kind(), torch.__version__, *work], 16)}.json"
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


def _ratio(works: tuple[Work, Work]) -> float:
    """Of bf16's seconds to fp32's, by turns. `works`: the same in fp32 and in bf16."""
    turns = [[_seconds(work) for work in works] for _ in range(1 + _TRIES)][1:]
    return min(fast for _, fast in turns) / min(slow for slow, _ in turns)


def _passes(model: nn.Module) -> tuple[Work, Work]:
    """One more token for each of some rows."""
    ids = torch.zeros((_ROWS, 1), dtype=torch.long)
    half = copy.deepcopy(model).to(torch.bfloat16)
    return lambda: model(input_ids=ids), lambda: half(input_ids=ids)


def _products(layer: nn.Linear) -> tuple[Work, Work]:
    def work(dtype: torch.dtype) -> Work:
        weight = layer.weight.detach().to(dtype)
        rows = torch.ones(_ROWS, weight.shape[1], dtype=dtype)
        return lambda: F.linear(rows, weight)

    return work(torch.float32), work(torch.bfloat16)


def _seconds(work: Work) -> float:
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(10):
            work()
    return time.perf_counter() - started
