"""Which settings shape the rows of a run folder, for generate and evaluate alike.

How a provider is reached (address, key, headers, time limits, attempts) shapes no row: it may change in a folder. What
a dialect stands for is compared setting by setting. Folders of older versions remember some of it; `NOT_SHAPING` says
what is left out of the comparison.
"""

from __future__ import annotations

from typing import Any

from fireact_ray.core.paths import named
from fireact_ray.recipe.hosted import as_teacher, hosted_model
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import named_base
from fireact_ray.recipe.students import HostedStudentConfig

_ACCESS = (
    *("base_url", "api_key_env", "api_key_file", "timeout_s", "max_attempts"),
    *("dialect", "key_header", "extra_headers", "extra_query"),
)
_TIMES = {"teacher.limits.timeout_s", "student.limits.timeout_s"}
NOT_SHAPING = frozenset({*(f"teacher.model.{name}" for name in _ACCESS), *_TIMES, "teacher.methods"})


def generate_inputs(recipe: Recipe) -> dict[str, Any]:
    """How many rows there are, by which methods, and how fast they come may change."""
    return {**teacher_inputs(recipe), "generate": {"split": recipe.generate.split}}


def teacher_inputs(recipe: Recipe) -> dict[str, Any]:
    shaped = _shaped(recipe, {"seed": True, "teacher": {"model", "reflect_every", "sampling", "limits"}})
    for name in _ACCESS:
        shaped["teacher"]["model"].pop(name, None)
    del shaped["teacher"]["limits"]["timeout_s"]
    return shaped


def student_inputs(recipe: Recipe, system: str) -> dict[str, Any]:
    """Of `base` or `finetuned`."""
    if isinstance(recipe.student, HostedStudentConfig):
        shaped = teacher_inputs(as_teacher(recipe, hosted_model(recipe, system)))
        return {**shaped, "student": shaped.pop("teacher")}
    shaped = _answering(recipe, True)
    shaped["student"]["base_model"] = named_base(recipe)
    return shaped


def model_inputs(recipe: Recipe) -> dict[str, Any]:
    """Of a local model that is none of this run's; which one it is stands beside them."""
    return _answering(recipe, {"renderer", "max_context", "precision", "sampling", "limits"})


def endpoint_inputs(recipe: Recipe) -> dict[str, Any]:
    """Of a served agent in the teacher's place: it has a search of its own."""
    model = recipe.teacher.model.model_dump(mode="json", include={"name", "extra_body"}, exclude_none=True)
    return {"task": _shaped(recipe, {})["task"], "endpoint": {"model": model}}


def run_inputs(recipe: Recipe, path: str, method: str | None) -> dict[str, Any]:
    """Of recorded rows."""
    return {"task": _shaped(recipe, {})["task"], "run": named(path), **({"method": method} if method else {})}


def _answering(recipe: Recipe, settings: Any) -> dict[str, Any]:
    """Of a local model."""
    shaped = _shaped(recipe, {"student": settings})
    del shaped["student"]["limits"]["timeout_s"]
    return shaped


def _shaped(recipe: Recipe, sections: dict[str, Any]) -> dict[str, Any]:
    shaped = recipe.model_dump(mode="json", include={"task": True, **sections})
    shaped["task"]["path"] = named(recipe.task.path)  # of what it holds, the rows' keys know
    return {**shaped, "search": recipe.search.shaping()}
