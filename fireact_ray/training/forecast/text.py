"""The plan of a training as text: a table of memory, whether it fits where, hours."""

from __future__ import annotations

from typing import Any

from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.core.utils.text import duration_text
from fireact_ray.training.forecast.activations import Load
from fireact_ray.training.forecast.fitting import (
    Training,
    fits,
    memory_on,
    memory_on_cpu,
    smallest_change,
    smallest_gpu,
)
from fireact_ray.training.forecast.gpus import GPUS, UTILISATION, Gpu, flops_again, flops_per_token, training_hours
from fireact_ray.training.forecast.memory import GIB, MemoryPlan

_NAMES = ", ".join(gpu.name for gpu in GPUS)
_PARTS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "AdamW's moments",
    "exchange": "gathered from other workers, and sent",
    "copies": "bf16 copies of weights",
    "activations": "activations",
    "transient": "logits and gradients on their way",
    "overhead": "CUDA, libraries, fragments (assumed)",
}


def training_text(training: Training, tokens: int | None, *, on_gpu: bool, gpu: Gpu | None) -> str:
    """`tokens`: of the dataset; None: there is none yet, so no hours. `gpu` None with `on_gpu`: which of the table."""
    lines = [*_about(training), ""]
    if not on_gpu:
        return "\n".join(
            [*lines, _table(memory_on_cpu(training), "per worker"), "no GPU: all of it is host memory; hours unknown"]
        )
    named = gpu or next((each for each in GPUS if fits(training, each)), GPUS[-1])
    lines.append(_table(memory_on(training, named), f"per {named.name}"))
    if gpu is None:
        where = [each.name for each in GPUS if fits(training, each)]
        lines.append(f"fits on: {', '.join(where) or f'none of {_NAMES}'} (--gpu names one)")
    else:
        lines.append(f"fits on {gpu.name}" if fits(training, gpu) else refusal(training, gpu))
    return "\n".join([*lines, _hours(training, tokens, named)])


def planned_hours(training: Training, tokens: int, gpu: Gpu) -> float:
    """`tokens`: of the dataset. At an assumed share of the GPU's peak."""
    shape, config, length = training.shape, training.config, training.max_length
    each = flops_per_token(shape, config, length, training.trained_share) + flops_again(shape, config, length)
    return training_hours(each * tokens * config.epochs, gpu, config, training.workers)


def refusal(training: Training, gpu: Gpu) -> str:
    """What is needed, what is there, and the smallest change that helps."""
    need = memory_on(training, gpu).worker
    found = f"train: needs {need / GIB:.1f} GiB a GPU (planned), {gpu.name} has {gpu.memory / GIB:.1f}."
    other = smallest_gpu(training)
    elsewhere = f" As it is, it fits on {other.name}." if other else ""
    change = smallest_change(training, gpu)
    if change is None:
        tried = "smaller micro-batch, layers computed again, moments in host memory, LoRA, QLoRA or shorter rows"
        return f"{found} No {tried} make it fit.{elsewhere}"
    return f"{found} The smallest change that fits: {_settings(change)}.{elsewhere}"


def _settings(change: dict[str, Any]) -> str:
    return " ".join(f"--set {name}={value}" for name, value in change.items())


def _about(training: Training) -> list[str]:
    config, load = training.config, training.load
    how = "full" if config.tuning == "full" else f"{config.tuning} of rank {config.lora.rank}"
    return [
        f"training, planned from the model's config: {_count(training.shape.parameters)} parameters, {how}, "
        f"{training.workers} workers, {config.sharding}",
        f"largest micro-batch: {_lines(load)} tokens, {load.trained_share:.0%} of them trained",
    ]


def _lines(load: Load) -> str:
    return f"{load.lines} x {load.length}" if load.lines > 1 else f"{load.length}"


def _table(plan: MemoryPlan, header: str) -> str:
    rows = [[label, _size(getattr(plan, name))] for name, label in _PARTS.items() if getattr(plan, name)]
    rows += [["together", _size(plan.worker)], ["host memory, all workers on one machine", _size(plan.host)]]
    return markdown_table(("memory", header), rows)


def _size(size: int) -> str:
    return f"{size / GIB:.2f} GiB" if size >= GIB else f"{size / (1 << 20):.0f} MiB"


def _count(n: int) -> str:
    return f"{n / 1e9:.2f} B" if n >= 1e9 else f"{n / 1e6:.2f} M"


def _hours(training: Training, tokens: int | None, gpu: Gpu) -> str:
    if tokens is None:
        return "hours: unknown until there is a dataset"
    hours = planned_hours(training, tokens, gpu)
    took = f"{duration_text(3600 * hours)} on {training.workers} x {gpu.name}"
    work = f"{training.config.epochs} x {tokens:,} tokens"
    return f"hours, planned: {took} for {work}, at an assumed {UTILISATION:.0%} of the peak, padding not counted"
