"""Import: foreign trajectory files -> trajectories of a run, every row accounted for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.paths import absolute
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import leased
from fireact_ray.core.storage.trajectories import finished_keys, write_trajectories
from fireact_ray.core.tool_specs import ARGUMENTS
from fireact_ray.core.types import Trajectory
from fireact_ray.data.formats.importers import Imported, import_trajectories
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe

logger = logging.getLogger(__name__)


@leased("fireact import")
def import_file(recipe: Recipe, path: str | Path) -> Folder:
    """Add the trajectories of a file or folder to the run; rows that are none are listed in rejections-*.json with
    their kind.

    Importing a file again adds nothing. Raises InputError for a missing file or an unknown format, DataError where
    every row is rejected.
    """
    place = absolute(str(path))
    name = PurePosixPath(place).name
    imported = import_trajectories(str(path), recipe.task.name, recipe.search.names)
    run = Folder(recipe.run_dir)
    folder = run / "trajectories"
    there = finished_keys(folder)
    new = list({t.trajectory_id: t for t in imported.trajectories if t.trajectory_id not in there}.values())
    run.write("recipe.yaml", to_yaml(recipe))
    write_trajectories(folder, new, f"import-{content_hash(name, 8)}")
    listed = f"rejections-{PurePosixPath(name).stem}.json"
    rejections = [{"file": place, "row": r.row, "kind": r.kind, "detail": r.detail} for r in imported.rejections]
    folder.write_json(listed, [*_of_namesakes(folder, listed, place, rejections), *rejections])
    logger.info(
        "import: %d rows = %d trajectories + %d rejected %s; %d new",
        imported.rows_in,
        len(imported.trajectories),
        len(rejections),
        imported.rejected or "",
        len(new),
    )
    _say_tasks(imported, recipe.task.name)
    _say_what_was_read(imported.trajectories)
    for sentence in imported.said:
        logger.info("import: %s", sentence)
    if not imported.trajectories:
        kinds = ", ".join(f"{kind} {n}" for kind, n in imported.rejected.items())
        raise DataError(f"{path}: no row is a trajectory ({kinds}). {folder.uri}/{listed} says why of each.")
    return folder


def _of_namesakes(folder: Folder, listed: str, place: str, now: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What files of the same name in other places left in the list. Lists of earlier versions do not say whose a row
    is: what is found again is not kept twice."""
    before = folder.read_json(listed) if folder.exists(listed) else []
    again = [{key: value for key, value in row.items() if key != "file"} for row in now]
    return [row for row in before if row.get("file") != place and row not in again]


def _say_tasks(imported: Imported, task: str) -> None:
    tasks = Counter(trajectory.question.task for trajectory in imported.trajectories)
    if len(tasks) > 1 or (tasks and task not in tasks):
        logger.info("import: tasks: %s", _counts(tasks))
    if imported.n_assumed:
        logger.info(
            "import: %d rows, of which neither they nor their file say the task, are kept as '%s', the recipe's",
            imported.n_assumed,
            task,
        )


def _say_what_was_read(trajectories: Sequence[Trajectory]) -> None:
    """How often a reply had to be repaired, and which tools no student will have."""
    steps = [step for trajectory in trajectories for step in trajectory.steps]
    repairs = Counter(name for step in steps for name in step.repairs)
    unknown = Counter(step.action.tool for step in steps if step.action and step.action.tool not in ARGUMENTS)
    if repairs:
        logger.info("import: replies read in another form: %s", _counts(repairs))
    if unknown:
        logger.info(
            "import: calls of tools that no student has: %s; such rows are never trained. If one of them is the search "
            "by another name, add it to search.aliases and import the file again",
            _counts(unknown),
        )


def _counts(found: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(found.items()))
