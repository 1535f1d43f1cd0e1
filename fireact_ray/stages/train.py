"""Train: dataset -> fine-tuned model, by Ray Train; rerunning resumes at the last checkpoint, or does nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass

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
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import local_student, named_base
from fireact_ray.stages.agent_metrics import agent_asked
from fireact_ray.stages.followed_training import written_here
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.ray_training import Told, fit
from fireact_ray.stages.reported import begin_session, drop_old, has_any
from fireact_ray.stages.shared_base import demand_base
from fireact_ray.stages.shared_folder import demand_placed, demand_shared
from fireact_ray.stages.train_progress import said_of, trackers_of
from fireact_ray.training.base import base_fingerprint, find_base
from fireact_ray.training.checkpoint_folders import other_run
from fireact_ray.training.config import FREE, TrainConfig, TrainSettings
from fireact_ray.training.mapped.loading import load_dataset
from fireact_ray.training.model_card import write_readme
from fireact_ray.training.trackers import demand_trackers

logger = logging.getLogger(__name__)


def train(recipe: Recipe) -> Folder:
    """Fine-tune a local student on the run's dataset; returns the model's folder.

    Raises InputError for a missing dataset or base model, TrainingError when training fails more often than allowed.
    """
    demand_placed(recipe.output_dir, "fireact train")
    model = _train(recipe)
    logger.info("train: -> %s", model.shown)
    return model


@leased("fireact train")
def _train(recipe: Recipe) -> Folder:
    run = Folder(recipe.run_dir)
    dataset, checkpoints, model = run / "dataset", run / "checkpoints", run / "model"
    if not dataset.exists(MANIFEST):
        raise InputError(f"{dataset.shown}: no dataset there. Run `fireact convert` first.")
    demand_trackers(recipe.train.trackers)
    config = train_config(recipe)
    base = named_base(recipe)  # an incomplete model is found here, not in a worker
    started = model.exists(MODEL_CARD) or has_any(checkpoints)
    fingerprint = read_dataset_manifest(dataset, "fingerprint")["fingerprint"]
    inputs = {"train": {**config.shaping(), "base_model": base}, "dataset": fingerprint}
    ignored = {f"train.{name}" for name in FREE}
    if started and _is_known_otherwise(run, dataset, fingerprint):
        ignored.add("dataset")
    lock_inputs(checkpoints, inputs, is_empty=not started, ignored=frozenset(ignored))
    if model.exists(MODEL_CARD):
        logger.info("train: already done")
        return model
    named = (recipe.name, recipe.train.trackers)
    with (
        written_here(checkpoints) as here,
        trackers_of(*named, config, here, goes_on=started) as sender,
        ray_session(recipe.ray),
    ):
        demand_shared(run)
        demand_base(config.base_model, {"CPU": 1.0, "GPU": float(recipe.train.use_gpu)})
        began_from = begin_session(checkpoints, _Foreign(config, dataset, fingerprint))
        if began_from is not None:
            logger.info("train: goes on from %s", began_from.shown)
        with (
            said_of(recipe.name, here, sender) as said,
            agent_asked(recipe, checkpoints, dataset.uri, said.metrics) as checkpoint,
        ):
            fit(recipe.train, config, run, began_from, Told(said.entry, checkpoint))
    if not model.exists(MODEL_CARD):
        raise TrainingError(f"{model.shown}: the workers ended without a model. Run the same command again to go on.")
    drop_old(checkpoints)
    write_readme(model.uri)  # again, as there is a curve of the loss now
    return model


@dataclass(frozen=True, slots=True)
class _Foreign:
    """Says of a checkpoint why it is of another training than this one; None where it is of this one."""

    config: TrainConfig
    dataset: Folder
    fingerprint: str

    def __call__(self, checkpoint: Folder) -> str | None:
        now = {"dataset": self.fingerprint, "base": base_fingerprint(find_base(self.config.base_model))}
        # As an earlier version knew the same rows.
        return other_run(
            checkpoint, self.config, now, {"dataset": lambda: load_dataset(self.dataset.uri).earlier_of_rows}
        )


def _is_known_otherwise(run: Folder, dataset: Folder, fingerprint: str) -> bool:
    """An earlier version began this training, under its own numbers for these very rows (core.storage.fingerprint).

    A checkpoint's number is compared when the training goes on from it.
    """
    remembered = read_inputs(run / "checkpoints").get("dataset")
    if remembered in (None, fingerprint):
        return False
    data = load_dataset(dataset.uri)
    # A model is of the version that ended its training.
    trained_on = read_model_card(run / "model").get("dataset_fingerprint", fingerprint)
    return remembered == data.earlier_of_keys and trained_on in (fingerprint, data.earlier_of_rows)


def train_config(recipe: Recipe) -> TrainConfig:
    """The settings of the training room."""
    shared = recipe.train.model_dump(include=set(TrainSettings.model_fields))
    return TrainConfig(base_model=local_student(recipe).base_model, seed=recipe.seed, **shared)
