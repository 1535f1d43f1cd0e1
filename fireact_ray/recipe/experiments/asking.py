"""Which evaluations a cell has, and where their rows lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from fireact_ray.core.storage.artifacts import MODEL_CARD
from fireact_ray.core.storage.folder import Folder
from fireact_ray.evaluation.experiments.results import NORMAL, SEED, Asked
from fireact_ray.recipe.experiments.expansion import Cell
from fireact_ray.recipe.experiments.graph import FINETUNED
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.recipe.systems import EndpointSystem, Entry, ModelSystem, RunSystem, TeacherSystem
from fireact_ray.recipe.teacher import teacher_name
from fireact_ray.recipe.trials import trials_of


def asked_of(cell: Cell, evaluation: Recipe) -> Iterator[Asked]:
    """`evaluation`: the recipe of the cell's task, whose run folder is the cell's."""
    home = Folder(evaluation.run_dir) / "evaluations"
    names = zip(cell.evaluated.evaluate.systems, evaluation.evaluate.systems, strict=True)
    as_asked = {elsewhere.name: entry for entry, elsewhere in names}
    for trial in trials_of(evaluation):
        entry, condition, asked = trial.entry, trial.condition, as_asked[trial.entry.name]
        yield Asked(
            cell=cell.name,
            axes=cell.axes if trial.seed is None else {**cell.axes, SEED: str(trial.seed)},
            system=asked.name,
            condition=NORMAL if condition is None else condition.name,
            strength=0.0 if condition is None else condition.probability,
            trained=asked.kind == FINETUNED,
            model=_model(asked, evaluation),
            task=evaluation.task.name,
            method=getattr(entry, "method", None) or "react",
            folder=home / trial.label,
            steps=_steps(entry) if asked.kind == FINETUNED else None,
        )


def _steps(entry: Entry) -> int | None:
    """As the card of its model says."""
    folder = Folder(entry.path) if isinstance(entry, ModelSystem) else None
    if folder is None or not folder.exists(MODEL_CARD):
        return None
    steps = folder.read_json(MODEL_CARD).get("steps")
    return steps if isinstance(steps, int) else None


def _model(entry: Entry, recipe: Recipe) -> str:
    """Whose weights answer, as the paper's rows are found by."""
    if isinstance(entry, TeacherSystem):
        return teacher_name(entry.model or recipe.teacher.model)
    if isinstance(entry, ModelSystem):
        return PurePosixPath(entry.path.removesuffix("/model")).name
    if isinstance(entry, EndpointSystem):
        return entry.model
    if isinstance(entry, RunSystem):
        return entry.name  # whose rows these are, they say themselves
    return recipe.student.base_model if isinstance(recipe.student, StudentConfig) else recipe.student.name
