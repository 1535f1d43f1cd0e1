"""Fine-tuning: a dataset and a base model in, a model folder out.

The same code runs in one process, under torchrun and in the workers of Ray Train: it uses whatever process
group is there and knows nothing of who started it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from fireact_ray.core.errors import DataError
from fireact_ray.training.artifacts import write_model
from fireact_ray.training.base import base_fingerprint, find_base
from fireact_ray.training.batching import Step, collate, count_steps, plan_steps
from fireact_ray.training.checkpoint import resume, save_checkpoint
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import TokenDataset, load_dataset
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.meter import Meter
from fireact_ray.training.model import Prepared, load_base, prepare
from fireact_ray.training.precision import Precision, by_hardware, confirmed

log = logging.getLogger(__name__)

OnLog = Callable[[dict[str, Any]], None]
OnCheckpoint = Callable[[Path | None, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Tokens are those of the whole run over all workers, also where it was resumed."""

    steps: int
    final_loss: float  # nats per trained token, over the last log interval
    tokens_seen: int  # without padding
    trained_tokens: int
    seconds: float  # of this call, without loading
    padding_share: float  # of the tokens computed by this call
    trainable_parameters: int
    total_parameters: int
    model_dir: Path


def train(
    config: TrainConfig,
    dataset_dir: str | Path,
    model_dir_out: str | Path,
    *,
    on_log: OnLog | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    resume_from: str | Path | None = None,
    checkpoint_dir: str | Path | None = None,
    device: str | torch.device | None = None,
) -> TrainResult:
    """Train, and leave the model in `model_dir_out`. Every worker of a process group calls this alike.

    `on_log` is called on rank 0. `on_checkpoint` is called on every rank after the same steps, because Ray
    Train waits for all of them; its path is None on all but rank 0. Checkpoints go to `checkpoint_dir`,
    which is `<model_dir_out>.checkpoints` unless given; a run that resumes from one goes on at the very
    next step. Raises InputError, DataError or TrainingError.
    """
    here = _here(device)
    out = Path(model_dir_out)
    checkpoints = Path(checkpoint_dir) if checkpoint_dir else out.with_name(f"{out.name}.checkpoints")
    data = load_dataset(dataset_dir)
    precision = by_hardware(config.precision, here.device)
    prepared = _prepare(config, data, here, precision)
    optimizer = _optimizer(prepared.model, config)
    fingerprints = {"dataset": data.fingerprint, "base": base_fingerprint(find_base(config.base_model))}
    start = 0
    if resume_from:
        earlier = {"dataset": data.earlier_of_rows}
        start = resume(resume_from, prepared.model, optimizer, config, fingerprints, earlier)
    compute_loss = _shared(TrainedTokenLoss(prepared.model).train(), here)
    first = next(plan_steps(data.rows, config, here.rank, here.world_size, start))
    precision = confirmed(
        precision, config.precision, here.device, lambda bf16: _step_seconds(compute_loss, first, data, here, bf16)
    )
    log.info("precision: %s", precision)

    n_steps = count_steps(len(data.rows), config)
    log.info("training %s: %d examples, steps %d to %d", config.tuning, len(data.rows), start + 1, n_steps)
    meter = Meter(here.device)
    for step in plan_steps(data.rows, config, here.rank, here.world_size, start):
        rate = learning_rate(config, step.number, n_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        # Dropout follows from seed, step and rank: a resumed run draws what an uninterrupted one would.
        torch.manual_seed(hash((config.seed, step.number, here.rank)))
        loss_sum = _accumulate_gradients(compute_loss, step, data, here, precision.bf16)
        nn.utils.clip_grad_norm_(prepared.model.parameters(), config.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        meter.add(step, loss_sum)

        done = step.number + 1
        now = {"step": done, "of": n_steps, "epoch": step.epoch + 1, "learning_rate": rate}
        if done % config.log_every_steps == 0 or done == n_steps:
            entry = {**now, **meter.read(), "precision": str(precision)}
            if here.rank == 0 and on_log:
                on_log(entry)
        if config.checkpoint_every_steps and done % config.checkpoint_every_steps == 0 and done < n_steps:
            metrics, path = {**now, "loss": meter.loss()}, None
            if here.rank == 0:
                path = save_checkpoint(checkpoints, done, prepared.model, optimizer, config, fingerprints)
            if on_checkpoint:
                on_checkpoint(path, metrics)

    if here.rank == 0:
        write_model(out, prepared.model, config, data, steps=n_steps, final_loss=meter.last_loss)
        log.info("model in %s: %d steps, loss %.4f, %.1f s", out, n_steps, meter.last_loss, meter.seconds)
    if here.world_size > 1:
        dist.barrier()  # nobody returns before the folder is there
    return TrainResult(
        steps=n_steps,
        final_loss=meter.last_loss,
        tokens_seen=config.epochs * sum(len(row.input_ids) for row in data.rows),
        trained_tokens=config.epochs * sum(row.n_trained for row in data.rows),
        seconds=meter.seconds,
        padding_share=meter.padding_share,
        trainable_parameters=prepared.trainable_parameters,
        total_parameters=prepared.total_parameters,
        model_dir=out,
    )


def learning_rate(config: TrainConfig, step: int, n_steps: int) -> float:
    """Linear warm-up, then a cosine from the peak down to a tenth of it. `step` counts from 0."""
    warmup = math.ceil(config.warmup_ratio * n_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, n_steps - 1 - warmup)
    return config.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass(frozen=True, slots=True)
class _Here:
    """This process among its workers, and what it computes with."""

    rank: int
    world_size: int
    device: torch.device


def _here(device: str | torch.device | None) -> _Here:
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if place.type == "cuda":
        if place.index is None:  # torchrun and Ray Train both set LOCAL_RANK
            place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(place)
    if not dist.is_initialized():
        return _Here(0, 1, place)
    return _Here(dist.get_rank(), dist.get_world_size(), place)


def _prepare(config: TrainConfig, data: TokenDataset, here: _Here, precision: Precision) -> Prepared:
    torch.manual_seed(config.seed)  # LoRA starts at random
    # What is trained stays fp32 (PEFT sees to that for adapters); a frozen base may as well be held in bf16. Not on a
    # CPU, where the clock may still decide for fp32.
    frozen_bf16 = precision.bf16 and config.tuning == "lora" and here.device.type == "cuda"
    model = load_base(config.base_model, torch.bfloat16 if frozen_bf16 else torch.float32)
    largest = max(int(row.input_ids.max()) for row in data.rows)
    vocabulary = model.get_input_embeddings().num_embeddings
    if largest >= vocabulary:
        raise DataError(
            f"The dataset holds token {largest}, {config.base_model} knows {vocabulary} tokens. "
            "Convert with the tokenizer of this base model."
        )
    return prepare(model.to(here.device), config)


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    decayed = {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay}
    others = {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0}  # norms and biases
    return torch.optim.AdamW([group for group in (decayed, others) if group["params"]], config.learning_rate)


def _shared(compute_loss: nn.Module, here: _Here) -> nn.Module:
    if here.world_size == 1:
        return compute_loss
    devices = [here.device] if here.device.type == "cuda" else None
    return DistributedDataParallel(compute_loss, device_ids=devices, forward_sync_buffers=False)


def _accumulate_gradients(
    compute_loss: nn.Module, step: Step, data: TokenDataset, here: _Here, bf16: bool
) -> torch.Tensor:
    """Gradients of the step's mean loss per trained token. Returns this worker's sum of losses."""
    loss_sum = torch.zeros((), device=here.device)
    batches = step.share.micro_batches
    for i, batch in enumerate(batches):
        tensors = collate([[data.rows[row] for row in rows] for rows in batch], step.share.idle).to(here.device)
        # Gradients are exchanged once, with the last batch; workers may differ in how many they have.
        keep_local = here.world_size > 1 and i < len(batches) - 1
        with compute_loss.no_sync() if keep_local else contextlib.nullcontext():
            with torch.autocast(here.device.type, torch.bfloat16, enabled=bf16):
                batch_sum, _ = compute_loss(*tensors)
            # DDP averages over workers; the step's own count over all of them makes that a mean per token.
            (batch_sum * (here.world_size / step.trained_tokens)).backward()
        loss_sum += batch_sum.detach()
    return loss_sum


def _step_seconds(compute_loss: nn.Module, step: Step, data: TokenDataset, here: _Here, bf16: bool) -> float:
    """How long the gradients of a step take, over all workers, so that all choose alike. Leaves no gradient behind."""
    started = time.perf_counter()
    with compute_loss.no_sync() if here.world_size > 1 else contextlib.nullcontext():
        _accumulate_gradients(compute_loss, step, data, here, bf16)
    seconds = torch.tensor(time.perf_counter() - started)
    compute_loss.zero_grad()
    if here.world_size > 1:
        dist.all_reduce(seconds)
    return float(seconds)
