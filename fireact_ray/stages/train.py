"""Train: dataset -> fine-tuned model, by Ray Train; rerunning resumes at the last checkpoint, or does nothing."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig
from ray.util.queue import Queue

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.core.storage.artifacts import (
    MANIFEST,
    MODEL_CARD,
    read_dataset_manifest,
    read_inputs,
    read_model_card,
)
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.inputs import lock_inputs
from fireact_ray.core.storage.lease import leased
from fireact_ray.core.storage.scratch import scratch_folder
from fireact_ray.core.utils.progress import Steps
from fireact_ray.core.utils.waiting import said_while_waiting
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import local_student, named_base
from fireact_ray.stages.actors.log_forwarding import forward_warnings
from fireact_ray.stages.actors.resources import pending
from fireact_ray.stages.ray_session import own_error, ray_session
from fireact_ray.stages.shared_folder import demand_shared
from fireact_ray.stages.trainer import InterruptibleTrainer
from fireact_ray.training.checkpoint import damage_of, newest_whole, step_of
from fireact_ray.training.config import FREE, TrainConfig, TrainSettings
from fireact_ray.training.data import load_dataset

logger = logging.getLogger(__name__)

_KEEP_CHECKPOINTS = 2
_POLL_S = 0.5
_REPORTED = "checkpoint_*/"  # folders, as Ray Train names them
_SNAPSHOT = "checkpoint_manager_snapshot.json"
_SCRATCH = "fireact-checkpoints-"


@leased("fireact train")
def train(recipe: Recipe) -> Folder:
    """Fine-tune a local student on the run's dataset; returns the model's folder.

    Raises InputError for a missing dataset or base model, TrainingError when training fails more often than allowed.
    """
    run = Folder(recipe.run_dir)
    dataset, model = run / "dataset", run / "model"
    if not dataset.exists(MANIFEST):
        raise InputError(f"{dataset.uri}: no dataset there. Run `fireact convert` first.")
    config = train_config(recipe)
    base = named_base(recipe)  # an incomplete model is found here, not in a worker
    checkpoints = run / "checkpoints"
    started = model.exists(MODEL_CARD) or any(checkpoints.local_path.glob(_REPORTED))
    fingerprint = read_dataset_manifest(dataset, "fingerprint")["fingerprint"]
    inputs = {"train": {**config.shaping(), "base_model": base}, "dataset": fingerprint}
    ignored = {f"train.{name}" for name in FREE}
    if started and _is_known_otherwise(run, fingerprint):
        ignored.add("dataset")
    lock_inputs(checkpoints, inputs, is_empty=not started, ignored=frozenset(ignored))
    if model.exists(MODEL_CARD):
        logger.info("train: already done -> %s", model.uri)
        return model
    with ray_session(recipe.ray):
        demand_shared(run)
        _fit(recipe, config, dataset.local_path, model.local_path)
    logger.info("train: -> %s", model.uri)
    return model


def _is_known_otherwise(run: Folder, fingerprint: str) -> bool:
    """An earlier version began this training, under its own numbers for these very rows (core.storage.fingerprint).

    A checkpoint's number is compared when the training goes on from it.
    """
    remembered = read_inputs(run / "checkpoints").get("dataset")
    if remembered in (None, fingerprint):
        return False
    data = load_dataset((run / "dataset").local_path)
    # A model is of the version that ended its training.
    trained_on = read_model_card(run / "model").get("dataset_fingerprint", fingerprint)
    return remembered == data.earlier_of_keys and trained_on in (fingerprint, data.earlier_of_rows)


def train_config(recipe: Recipe) -> TrainConfig:
    """The settings of the training room."""
    shared = recipe.train.model_dump(include=set(TrainSettings.model_fields))
    return TrainConfig(base_model=local_student(recipe).base_model, seed=recipe.seed, **shared)


def _fit(recipe: Recipe, config: TrainConfig, dataset_dir: Path, model_dir: Path) -> None:
    section = recipe.train
    each = {"CPU": 1.0, "GPU": float(section.use_gpu)}
    begun = threading.Event()

    def waited_for() -> str | None:
        return None if begun.is_set() else pending(section.workers, "workers of Ray Train", each)

    checkpoints = model_dir.parent / "checkpoints"
    log_path = checkpoints / "log.jsonl"
    resume_from = _resume_from(checkpoints)
    with Steps("train", total=0) as steps, log_path.open("a", encoding="utf-8") as log:

        def on_event(event: dict[str, Any]) -> None:
            if not begun.is_set():
                logger.info("train: precision %s", event["precision"])
            begun.set()
            log.write(json.dumps(event) + "\n")
            log.flush()
            steps.set(event["step"], event["of"], f"loss {event['loss']:.3f}")

        with _delivered_to(on_event) as events:
            trainer = InterruptibleTrainer(
                _train_worker,
                train_loop_config={
                    "config": config.to_dict(),
                    "dataset_dir": str(dataset_dir),
                    "model_dir": str(model_dir),
                    "threads": section.threads_per_worker,
                    "events": events,
                    "resume_from": resume_from and str(resume_from),
                },
                torch_config=TorchConfig(backend="nccl" if section.use_gpu else "gloo"),
                scaling_config=ScalingConfig(num_workers=section.workers, use_gpu=section.use_gpu),
                run_config=RunConfig(
                    name=checkpoints.name,
                    storage_path=str(model_dir.parent),
                    failure_config=FailureConfig(max_failures=section.max_failures),
                    checkpoint_config=CheckpointConfig(num_to_keep=_KEEP_CHECKPOINTS),
                ),
            )
            logger.info("train: Ray Train, %d workers, %s", section.workers, section.tuning)
            try:
                with said_while_waiting("train", waited_for):
                    trainer.fit()
            except ray.train.TrainingFailedError as error:
                raise own_error(error) or TrainingError(f"Training failed: {error}") from error
    _drop_old(checkpoints)


@contextmanager
def _delivered_to(on_event: Callable[[dict[str, Any]], None]) -> Iterator[Queue]:
    """A queue for the workers' events; `on_event` is called for each of them in a thread of this process."""
    events = Queue(actor_options={"num_cpus": 0})
    over = threading.Event()

    def deliver() -> None:
        for event in events.get_nowait_batch(events.qsize()):
            on_event(event)

    def poll() -> None:
        while not over.wait(_POLL_S):
            deliver()

    reader = threading.Thread(target=poll, name="train-events", daemon=True)
    reader.start()
    try:
        yield events
    finally:
        over.set()
        reader.join()
        deliver()
        events.shutdown(force=True)


def _resume_from(folder: Path) -> Path | None:
    """The newest checkpoint of an earlier session that can be read.

    Ray Train would take what its snapshot names, whole or not, so the snapshot goes; a session writes its own. What it
    does not name is the half of a checkpoint whose copying was cut short, or a whole one that was to be reported.
    """
    snapshot = folder / _SNAPSHOT
    named = snapshot.read_text(encoding="utf-8", errors="replace") if snapshot.is_file() else ""
    for checkpoint in folder.glob(_REPORTED):
        if checkpoint.name not in named and damage_of(checkpoint) is not None:
            shutil.rmtree(checkpoint)
    newest = newest_whole(folder.glob(_REPORTED))
    snapshot.unlink(missing_ok=True)
    _drop_old(folder)
    if newest is not None:
        logger.info("train: goes on from %s", newest)
    return newest


def _drop_old(folder: Path) -> None:
    """Ray Train knows, and drops, those of its own session only."""
    for old in sorted(folder.glob(_REPORTED), key=step_of)[:-_KEEP_CHECKPOINTS]:
        shutil.rmtree(old)


def _train_worker(job: dict[str, Any]) -> None:
    """One Ray Train worker: the training room's loop, with checkpoints reported to Ray by every rank."""
    import torch

    from fireact_ray.training.loop import train as train_loop

    forward_warnings()
    if job["threads"]:
        torch.set_num_threads(job["threads"])

    def on_checkpoint(path: Path | None, metrics: dict[str, Any]) -> None:
        # Every rank reports, or Ray Train waits for ever; with a folder where it wrote something.
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(str(path)) if path else None)

    last = ray.train.get_checkpoint()  # of this session, where a worker died in it
    resume = last.as_directory() if last else nullcontext(job["resume_from"])
    # Ray Train copies what is reported into the run folder; the loop's own copies go with the worker.
    with resume as resume_from, scratch_folder(_SCRATCH) as scratch:
        train_loop(
            TrainConfig.from_dict(job["config"]),
            job["dataset_dir"],
            job["model_dir"],
            # Not Queue.put_nowait, which waits for an answer: a training outlives the queue of its log lines.
            on_log=lambda event: job["events"].actor.put_nowait.remote(event),
            on_checkpoint=on_checkpoint,
            resume_from=resume_from,
            checkpoint_dir=scratch,
            device=ray.train.torch.get_device(),
        )
