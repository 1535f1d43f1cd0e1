"""Generate: questions -> trajectories of the teacher, in Parquet parts; rerunning pays only for what is missing."""

from __future__ import annotations

import logging
from typing import Any

from fireact_ray.accounting import books
from fireact_ray.assembly import TeacherAgents, open_backend
from fireact_ray.errors import DataError
from fireact_ray.recipe import Recipe
from fireact_ray.recipe_loader import to_yaml
from fireact_ray.scheduling.plan import plan_lines
from fireact_ray.stages.landing import begin, merge_parts
from fireact_ray.stages.rollouts import run_rollouts
from fireact_ray.store import Folder
from fireact_ray.tasks import load_questions
from fireact_ray.teacher.running import running_teacher
from fireact_ray.types import StopReason

logger = logging.getLogger(__name__)


def generate(recipe: Recipe) -> Folder:
    """Run every planned rollout that is still needed; returns the folder of trajectories.

    Raises InputError for a missing file or key before anything is written, ModelDenied when the teacher's provider
    refuses every call and BudgetExhausted when the budget is spent (what was paid for until then is kept).
    """
    run = Folder(recipe.run_dir)
    config, recording = recipe.generate, Folder(recipe.replay) if recipe.replay else None
    questions = load_questions(recipe.task.name, recipe.task.path, config.split, config.n_questions)
    with running_teacher(recipe, needed=recording is None) as reachable:
        builder = TeacherAgents(reachable, opened=recording is None)
        backend = open_backend(recipe.search, offline=recording is not None)
        lines = plan_lines(questions, builder(backend), config.policy)
        size = begin(run, _inputs(recipe), lines, config.policy)
        run.write("recipe.yaml", to_yaml(recipe))
        logger.info("generate: %d rows planned, %d already there", size.planned, size.planned - size.owed)
        if size.owed:
            run_rollouts(
                "generate",
                run,
                builder,
                recipe,
                backend.fingerprint,
                size=size,
                workers=config.workers,
                concurrency=config.concurrency,
                recording=recording,
            )
    return _close(run, recipe)


def _inputs(recipe: Recipe) -> dict[str, Any]:
    """The settings that shape trajectories; how many there are and how fast they come may change."""
    inputs = recipe.model_dump(
        mode="json",
        include={
            "seed": True,
            "task": True,
            "teacher": {"model", "reflect_every", "sampling", "limits"},
            "generate": {"split"},
        },
    )
    for access in ("api_key_env", "api_key_file", "timeout_s", "max_attempts"):  # how it is reached, not what it is
        inputs["teacher"]["model"].pop(access, None)
    return {**inputs, "search": recipe.search.shaping()}


def _close(run: Folder, recipe: Recipe) -> Folder:
    """Merge the parts and write the manifest: planned = landed + unneeded, each key once, or DataError."""
    folder = run / "trajectories"
    found = books(run)
    if found.owed:
        raise DataError(
            f"{folder.uri}: {found.owed} of {found.planned} planned rows did not land. Run the same command again."
        )
    with merge_parts(folder, recipe.ray) as parts:
        folder.write_json("manifest.json", {**found.to_dict(), "parts": parts})
    logger.info(
        "generate: %d rows, %d finished, %d correct -> %s",
        found.landed,
        found.by_reason.get(StopReason.FINISHED, 0),
        found.correct,
        folder.uri,
    )
    return folder
