"""What an experiment was run with, in a few words for the head of its report."""

from __future__ import annotations

from collections.abc import Sequence

from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.recipe.teacher import teacher_name


def facts_of(recipes: Sequence[Recipe], n_cells: int, n_missing: int) -> tuple[tuple[str, str], ...]:
    def each(values: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    students = [r.student.base_model if isinstance(r.student, StudentConfig) else r.student.name for r in recipes]
    missing = f", {n_missing} of them without a result" if n_missing else ""
    return (
        ("recipe", each([recipe.name for recipe in recipes])),
        ("teacher", each([teacher_name(recipe.teacher.model) for recipe in recipes])),
        ("base", each(students)),
        ("task", each([f"{recipe.task.name}, {recipe.evaluate.split}" for recipe in recipes])),
        ("cells", f"{n_cells}{missing}"),
    )
