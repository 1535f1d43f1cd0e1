"""Rows that another run folder of the same experiments has already: copied, never asked for again.

A row is named by its question and all that shapes its answer, and a folder is locked to its inputs: what is taken over
is what this folder would have made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.storage.artifacts import INPUTS
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import finished_keys, read_trajectories, write_trajectories
from fireact_ray.core.types import Outcome, Trajectory
from fireact_ray.recipe.experiments.graph import GENERATIONS, METHODS
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.trials import Trial, trials_of

SHARED = "shared.json"  # in a cell's folder: what its evaluations are of, by their names

logger = logging.getLogger(__name__)


def share_generation(recipe: Recipe, home: Folder) -> int:
    """Before a generation: the rows of its methods that others made with the same settings. Returns how many."""
    methods = recipe.teacher.methods
    return _take_over(Folder(recipe.run_dir), generations_like(recipe, home), lambda row: row.method in methods)


def share_evaluations(recipe: Recipe, home: Folder) -> int:
    """Before the evaluations of a cell: the rows that other cells have of the same systems and conditions."""
    run, there = Folder(recipe.run_dir), evaluations_in(home)
    ours = evaluations_of(recipe)
    taken = 0
    for name, key in ours.items():
        own = run / "evaluations" / name
        donors = [folder for other, folder in there if other == key and folder.uri != own.uri]
        taken += _take_over(own, donors, lambda _: True)
    run.write_json(SHARED, ours)
    return taken


def generations_like(recipe: Recipe, home: Folder) -> list[Folder]:
    """Those of the same settings, but for their methods."""
    common = recipe.name.partition(METHODS)[0] + METHODS
    names = {file.name.partition("/")[0] for file in (home / GENERATIONS).files_below(INPUTS)}
    return [home / GENERATIONS / name for name in sorted(names) if name.startswith(common) and name != recipe.name]


def evaluations_in(home: Folder) -> list[tuple[str, Folder]]:
    """Those of all cells that were begun, each with the key of what may shape its rows."""
    found: list[tuple[str, Folder]] = []
    for file in home.files_below(SHARED):
        evaluations = home / file.name.rpartition("/")[0] / "evaluations"
        found += [(key, evaluations / name) for name, key in home.read_json(file.name).items()]
    return found


def keys_to_take(donors: Iterable[Folder]) -> set[str]:
    """Of the rows that `share_generation` would take from them."""
    return {row.trajectory_id for donor in donors for row in _whole_rows(donor / "trajectories")}


def evaluations_of(recipe: Recipe) -> dict[str, str]:
    """The folders of a cell's evaluations, and of each a key of all that may shape its rows."""
    config = recipe.evaluate
    sections = {"task", "search", "teacher", "student", "seed"}
    free = {"teacher": {"methods", "quota"}}  # each system has a method of its own
    shaped = [recipe.model_dump(mode="json", include=sections, exclude=free), config.split]
    return {trial.label: content_hash([shaped, _told(trial)]) for trial in trials_of(recipe)}


def _told(trial: Trial) -> list[Any]:
    condition = trial.condition and trial.condition.model_dump(mode="json")
    return [trial.entry.model_dump(mode="json"), condition, trial.seed]


def _take_over(to: Folder, donors: Sequence[Folder], wanted: Callable[[Trajectory], bool]) -> int:
    """Rows that failed for a reason outside the agent are left: they are tried again. A damaged folder gives none."""
    folder, taken = to / "trajectories", 0
    for donor in donors:
        theirs = donor / "trajectories"
        there = finished_keys(folder)
        rows = [row for row in _whole_rows(theirs) if wanted(row) and row.trajectory_id not in there]
        if not rows:
            continue
        if not folder.exists(INPUTS):
            folder.write(INPUTS, theirs.read(INPUTS))
        write_trajectories(folder, rows, "shared")
        taken += len(rows)
        logger.info("%s: %d rows are taken over from %s", to.uri, len(rows), donor.uri)
    return taken


def _whole_rows(folder: Folder) -> list[Trajectory]:
    if not folder.exists(INPUTS):
        return []
    try:
        found = read_trajectories(folder)
    except DataError as error:
        logger.warning("nothing is taken over from %s: %s", folder.uri, error)
        return []
    return [row for row in found if row.stop_reason.outcome is not Outcome.FAILED]
