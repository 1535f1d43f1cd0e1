"""Import: foreign trajectory files -> trajectories of a run, every row accounted for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fireact_ray.core.hashing import content_hash
from fireact_ray.core.storage.folder import Folder, finished_keys, write_trajectories
from fireact_ray.core.storage.lease import leased
from fireact_ray.core.tool_specs import ARGUMENTS
from fireact_ray.core.types import Trajectory
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe

logger = logging.getLogger(__name__)


@leased("fireact import")
def import_file(recipe: Recipe, path: Path) -> Folder:
    """Add the file's trajectories to the run; rows that are none are listed in rejections-*.json with their kind.

    Importing a file again adds nothing. Raises InputError for a missing file or an unknown format.
    """
    imported = import_trajectories(path, recipe.task.name, recipe.search.names)
    run = Folder(recipe.run_dir)
    folder = run / "trajectories"
    there = finished_keys(folder)
    new = list({t.trajectory_id: t for t in imported.trajectories if t.trajectory_id not in there}.values())
    run.write("recipe.yaml", to_yaml(recipe))
    write_trajectories(folder, new, f"import-{content_hash(path.name, 8)}")
    rejections = [{"row": r.row, "kind": r.kind, "detail": r.detail} for r in imported.rejections]
    folder.write_json(f"rejections-{path.stem}.json", rejections)
    kinds = dict(Counter(r["kind"] for r in rejections))
    logger.info(
        "import: %d rows = %d trajectories + %d rejected %s; %d new",
        len(imported.trajectories) + len(rejections),
        len(imported.trajectories),
        len(rejections),
        kinds or "",
        len(new),
    )
    _say_what_was_read(imported.trajectories)
    return folder


def _say_what_was_read(trajectories: Sequence[Trajectory]) -> None:
    """How often a reply had to be repaired, and which tools no student will have."""
    steps = [step for trajectory in trajectories for step in trajectory.steps]
    repairs = Counter(name for step in steps for name in step.repairs)
    unknown = Counter(step.action.tool for step in steps if step.action and step.action.tool not in ARGUMENTS)
    if repairs:
        logger.info("import: replies read in another form: %s", _counts(repairs))
    if unknown:
        logger.info(
            "import: calls of tools that no student has: %s; rows with one are never trained. What is another name of "
            "the search is told by search.aliases, and the file imported again",
            _counts(unknown),
        )


def _counts(found: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(found.items()))
