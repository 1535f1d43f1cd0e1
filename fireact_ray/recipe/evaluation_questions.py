"""A recipe -> the texts of all questions that must not be trained on."""

from __future__ import annotations

from fireact_ray.recipe.schema import Recipe
from fireact_ray.tasks import load_questions


def evaluation_questions(recipe: Recipe) -> list[str]:
    """Those of evaluate.split, then those of each set of convert.decontaminate_against. Raises InputError naming the
    file that cannot be read."""
    sets = [(recipe.task.name, recipe.task.path, recipe.evaluate.split)]
    sets += [(one.task, one.path, one.split) for one in recipe.convert.decontaminate_against]
    return [question.text for task, path, split in sets for question in load_questions(task, path, split)]
