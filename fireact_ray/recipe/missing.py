"""Which files a recipe names that are not there, each with the command that gets it."""

from __future__ import annotations

import shlex
from pathlib import Path

from fireact_ray.agent.tools.config import IndexSearchConfig
from fireact_ray.core.storage.source import kind_of
from fireact_ray.recipe.schema import Recipe
from fireact_ray.tasks import get_task
from fireact_ray.tasks.fetching.sources import how_to_get


def missing_data(recipe: Recipe) -> list[str]:
    """A sentence for each on this machine. Nothing is read: what files hold and URLs lead to, the stages find out."""
    found: list[str] = []
    task = get_task(recipe.task.name)
    if task.needs_path and recipe.task.path is None:
        found.append(f"task.path: task '{task.name}' needs its data.{how_to_get(task.name, None)}")
    elif recipe.task.path is not None and "://" not in recipe.task.path and kind_of(recipe.task.path) is None:
        found.append(f"task.path: {recipe.task.path} does not exist.{how_to_get(task.name, recipe.task.path)}")
    backend = recipe.search.backend
    if isinstance(backend, IndexSearchConfig) and _is_missing(backend.corpus):
        of = task.name if task.name == "hotpotqa" else "SOURCE..."
        found.append(
            f"search.backend.corpus: {backend.corpus} does not exist. "
            f"`fireact data corpus {of} --out {shlex.quote(backend.corpus)}` makes it."
        )
    return found


def _is_missing(corpus: str) -> bool:
    return corpus != "almanac" and "://" not in corpus and not Path(corpus).is_file()
