"""Plan: what the training of a recipe will take, before anything is generated or fetched.

Of the base model only its config is read; of the run folder only the dataset's manifest, where there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

import ray

from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import last_name
from fireact_ray.core.storage.artifacts import MANIFEST, read_model_card
from fireact_ray.core.storage.fetched import fetched_while
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import local_student
from fireact_ray.recipe.students import HostedStudentConfig
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.train_hosted import hosted_section
from fireact_ray.training.base import read_config
from fireact_ray.training.forecast.fitting import Training, fits
from fireact_ray.training.forecast.gpus import Gpu, find_gpu
from fireact_ray.training.forecast.model_shape import ModelShape
from fireact_ray.training.forecast.text import planned_hours, refusal, training_text
from fireact_ray.training.progress.entries import read_log
from fireact_ray.training.progress.session import LOG

_ACCELERATOR = "accelerator_type:"  # as Ray names a node's GPU among its resources
_TRAINED = 0.5  # of a conversation's tokens, until there is a dataset: the rest is prompt and observations


@dataclass(frozen=True)
class TrainingForecast:
    """`tokens`: of the dataset; None: there is none yet."""

    training: Training
    tokens: int | None
    on_gpu: bool
    gpu: Gpu | None

    @property
    def hours(self) -> float | None:
        """On the GPU that was named; None without one, and until there is a dataset."""
        if self.gpu is None or self.tokens is None:
            return None
        return planned_hours(self.training, self.tokens, self.gpu)

    @property
    def text(self) -> str:
        return training_text(self.training, self.tokens, on_gpu=self.on_gpu, gpu=self.gpu)


def plan_training(recipe: Recipe, gpu: str | None = None) -> TrainingForecast:
    """`gpu` None: the cluster's, or all that are known.

    Raises InputError where the base's config cannot be had, is of another kind of model, or where the training does not
    fit on the GPU that was named; the message holds the smallest change that does.
    """
    section = recipe.train
    named = None if gpu is None else find_gpu(gpu)
    if named and not section.use_gpu:
        raise InputError(f"--gpu {named.name}: this recipe trains on the CPU. Add --set train.use_gpu=true.")
    base_model = local_student(recipe).base_model
    try:
        shape = ModelShape.from_config(read_config(base_model))
    except InputError as error:
        raise InputError(f"student.base_model {base_model}: {error}") from None
    counts = _counts(recipe)
    tokens, trained = (
        (round((1 - section.held_out) * counts["tokens"]), counts["trained_tokens"] / counts["tokens"])
        if counts
        else (None, _TRAINED)
    )
    training = Training(shape, section, recipe.convert.max_length, section.workers.min, trained)
    if named and not fits(training, named):
        raise InputError(refusal(training, named))
    return TrainingForecast(training, tokens, section.use_gpu, named or _of_cluster(recipe))


def gpu_of(resources: Mapping[str, float]) -> Gpu | None:
    """Of a Ray cluster's resources: the smallest of its GPUs; None where it has none. Raises InputError for a GPU of
    which nothing is known."""
    names = [name.removeprefix(_ACCELERATOR) for name in resources if name.startswith(_ACCELERATOR)]
    return min((find_gpu(name) for name in names), key=lambda gpu: gpu.memory, default=None)


def _of_cluster(recipe: Recipe) -> Gpu | None:
    """None where the recipe needs no GPU, or where no cluster is named: a local Ray is not started for this."""
    if not recipe.train.use_gpu or not (recipe.ray.address or os.environ.get("RAY_ADDRESS")):
        return None
    with ray_session(recipe.ray):
        return gpu_of(ray.cluster_resources())


@dataclass(frozen=True)
class MeasuredSteps:
    """`seconds`: of one optimizer step of a recorded training, in `run`."""

    seconds: float
    run: Folder


def measured_steps(recipe: Recipe, runs: Iterable[Folder]) -> MeasuredSteps | None:
    """Of the first of these run folders that holds a finished training of the same base, tuning and batch; by its log.
    None where there is none."""
    train = recipe.train
    wanted = {"tuning": train.tuning, "global_batch_size": train.global_batch_size, "sharding": train.sharding}
    for run in runs:
        config = read_model_card(run / "model").get("config", {})
        if last_name(str(config.get("base_model"))) != last_name(local_student(recipe).base_model):
            continue
        if any(config.get(name) != value for name, value in wanted.items()):
            continue
        if (seconds := _step_s(run)) is not None:
            return MeasuredSteps(seconds, run)
    return None


def _step_s(run: Folder) -> float | None:
    """The median of what its entries say of the time that was left."""
    if not run.exists(f"checkpoints/{LOG}"):
        return None
    with fetched_while((run / "checkpoints" / LOG).uri) as log:
        entries = read_log(log)
    left = [entry["eta_s"] / (entry["of"] - entry["step"]) for entry in entries if entry["step"] < entry["of"]]
    return median(left) if left else None


def training_section(recipe: Recipe, gpu: str | None) -> str:
    """For `fireact plan`. Where no GPU is named, a training that cannot be planned holds up no generation."""
    if isinstance(recipe.student, HostedStudentConfig):
        if gpu is not None:
            raise InputError(f"--gpu {gpu}: a student of kind {recipe.student.kind} is trained at its provider.")
        return hosted_section(recipe)
    if gpu is not None:
        return plan_training(recipe, gpu).text
    try:
        return plan_training(recipe).text
    except InputError as error:
        return f"training is not planned: {error}"


def _counts(recipe: Recipe) -> dict[str, int] | None:
    dataset = Folder(recipe.run_dir) / "dataset"
    if not dataset.exists(MANIFEST):
        return None
    manifest = dataset.read_json(MANIFEST)
    return {name: manifest[name] for name in ("tokens", "trained_tokens")}
