"""Fine-tuning: a dataset and a base model in, a model folder out.

The same code runs in one process, under torchrun and in the workers of Ray Train: it uses whatever process
group is there and knows nothing of who started it.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist

from fireact_ray.core.errors import DataError, TrainingStopped
from fireact_ray.training.agreement import Agreement
from fireact_ray.training.ahead import Ahead
from fireact_ray.training.artifacts import write_model
from fireact_ray.training.base import base_fingerprint, find_base
from fireact_ray.training.batching import Step, count_steps, plan_steps
from fireact_ray.training.checkpoint import Resumed, resume, save_checkpoint
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Rows
from fireact_ray.training.held_out import HeldOut, hold_out
from fireact_ray.training.kernel_check import verify_kernels
from fireact_ray.training.mapped.loading import TokenDataset, load_dataset
from fireact_ray.training.meter import Meter
from fireact_ray.training.precision import Precision, by_hardware, for_training
from fireact_ray.training.progress.entries import TrainEntry
from fireact_ray.training.sharding import open_sharded
from fireact_ray.training.sharding.base import Here, Sharded
from fireact_ray.training.stepping import Stepper
from fireact_ray.training.utilisation import mfu_of_one
from fireact_ray.training.wish import Wish, Wished

log = logging.getLogger(__name__)

OnLog = Callable[[TrainEntry], None]
OnCheckpoint = Callable[[Path | None, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Tokens are those of the whole run over all workers, also where it was resumed."""

    steps: int
    final_loss: float  # nats per trained token, over the last log interval
    held_out_loss: float | None  # of the model that was written; None where nothing was held out
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
    wished: Wished | None = None,
) -> TrainResult:
    """Train, and leave the model in `model_dir_out`. Every worker of a process group calls this alike.

    `on_log` is called on rank 0. `on_checkpoint` is called on every rank after the same steps, because Ray
    Train waits for all of them; its path is None where this worker wrote nothing. Checkpoints go to `checkpoint_dir`,
    which is `<model_dir_out>.checkpoints` unless given, and may differ among workers; a run that resumes from one goes
    on at the very next step. `wished` is asked after every step, of every worker (training.agreement).
    Raises InputError, DataError or TrainingError; TrainingStopped, behind a checkpoint, where a stop was wished.
    """
    here, out = _here(device), Path(model_dir_out)
    checkpoints = Path(checkpoint_dir) if checkpoint_dir else out.with_name(f"{out.name}.checkpoints")
    run = _open(config, load_dataset(dataset_dir), here, resume_from)
    n_steps, bf16 = count_steps(len(run.rows), config), run.precision.bf16
    log.info("training %s: %d examples, steps %d to %d", config.tuning, len(run.rows), run.start + 1, n_steps)
    coming, agreement = Ahead(map(run.stepper.ready, run.plan())), Agreement(wished, here)
    meter = Meter(here.device, run.rows, mfu_of_one(config, run.rows.sizes, here.device, here.world_size, bf16))
    for ready in coming:
        step = ready.step
        rate = learning_rate(config, step.number, n_steps)
        losses, norm = run.stepper.take(ready, rate, bf16)
        meter.add(step, losses, norm)

        done = step.number + 1
        now = {"step": done, "of": n_steps, "epoch": step.epoch + 1, "learning_rate": rate}
        evaluates = run.held_out.is_due(done, n_steps)
        if done % config.log_every_steps == 0 or done == n_steps or evaluates:
            read = meter.read(n_steps - done, coming.waited)
            entry = cast(TrainEntry, {**now, **read, "precision": str(run.precision)})
            if evaluates:
                with meter.paused():
                    entry["held_out_loss"] = run.held_out.measure(run.sharded, bf16)
            if here.rank == 0 and on_log:
                on_log(entry)
        wish = agreement.heard()
        due = config.checkpoint_every_steps and done % config.checkpoint_every_steps == 0
        if (due or wish) and done < n_steps:
            metrics = {**now, "loss": meter.loss()}
            path = save_checkpoint(checkpoints, done, run.sharded, config, run.fingerprints, here, bf16=bf16)
            if on_checkpoint:
                on_checkpoint(path, metrics)
            if wish is Wish.STOP:
                raise TrainingStopped(f"Training was stopped after step {done} of {n_steps}, which is saved.")
    return _finish(run, config, n_steps, meter, out)


@dataclass(frozen=True, slots=True)
class _Run:
    """What a training works on. `plan`: this worker's steps, from the one after `start` on."""

    here: Here
    data: TokenDataset
    rows: Rows
    sharded: Sharded
    stepper: Stepper
    held_out: HeldOut
    fingerprints: dict[str, str]
    start: int
    plan: Callable[[], Iterator[Step]]
    precision: Precision


def _open(config: TrainConfig, data: TokenDataset, here: Here, resume_from: str | Path | None) -> _Run:
    rows, held_rows = hold_out(data.rows, config.held_out)
    sharded = open_sharded(config, here, by_hardware(config.precision, here.device))
    _demand_known_tokens(data, sharded.prepared.model, config)
    varlen = sharded.prepared.varlen
    stepper = Stepper(sharded, rows, config, here)
    held_out = HeldOut(held_rows, config, here, varlen=varlen)
    fingerprints = {"dataset": data.fingerprint, "base": base_fingerprint(find_base(config.base_model))}
    resumed = Resumed()
    if resume_from:
        earlier = {"dataset": lambda: data.earlier_of_rows}
        resumed = resume(resume_from, sharded, config, fingerprints, earlier)
    if varlen and config.pack_tokens is not None:
        log.info("pack_tokens decides nothing: with varlen attention a forward pass is one line already")
    plan = partial(plan_steps, rows.sizes, config, here.rank, here.world_size, resumed.step, varlen=varlen)
    first = stepper.ready(next(plan()))
    timed = partial(stepper.seconds, first)
    precision = for_training(config.precision, here.device, timed, resumed.bf16)
    log.info("precision: %s", precision)
    if config.kernels != "torch":
        verify_kernels(sharded, rows, config, here, bf16=precision.bf16)
    return _Run(here, data, rows, sharded, stepper, held_out, fingerprints, resumed.step, plan, precision)


def _finish(run: _Run, config: TrainConfig, n_steps: int, meter: Meter, out: Path) -> TrainResult:
    prepared, trained = run.sharded.prepared, run.sharded.trained_weights()
    if trained is not None:
        losses = {"final_loss": meter.last_loss, **run.held_out.facts}
        n_examples = len(run.rows)
        write_model(out, prepared.model, trained, config, run.data, n_examples=n_examples, steps=n_steps, losses=losses)
        log.info("model in %s: %d steps, loss %.4f, %.1f s", out, n_steps, meter.last_loss, meter.seconds)
    if run.here.world_size > 1:
        dist.barrier()  # nobody returns before the folder is there
    return TrainResult(
        steps=n_steps,
        final_loss=meter.last_loss,
        held_out_loss=run.held_out.last_loss,
        tokens_seen=config.epochs * int(run.rows.sizes.lengths.sum()),
        trained_tokens=config.epochs * int(run.rows.sizes.trained.sum()),
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


def _here(device: str | torch.device | None) -> Here:
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if place.type == "cuda":
        if place.index is None:  # torchrun and Ray Train both set LOCAL_RANK
            place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(place)
    if not dist.is_initialized():
        return Here(0, 1, place)
    return Here(dist.get_rank(), dist.get_world_size(), place)


def _demand_known_tokens(data: TokenDataset, model: Any, config: TrainConfig) -> None:
    vocabulary = model.get_input_embeddings().num_embeddings
    if data.rows.largest_id >= vocabulary:
        raise DataError(
            f"The dataset holds token {data.rows.largest_id}, {config.base_model} knows {vocabulary} tokens. "
            "Convert with the tokenizer of this base model."
        )
