"""The keys that a recipe names, by the stages that read them: to look for them before anything is begun."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from fireact_ray.core.secrets import ApiKey
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.systems import TeacherSystem

_SECTIONS = {  # of a stage, those that may name a key
    "generate": ("teacher", "search"),
    "convert": (),
    "train": ("student",),
    "evaluate": ("evaluate", "search", "student"),
}


def named_keys(recipe: Recipe, stages: Iterable[str]) -> tuple[ApiKey, ...]:
    """Each place once, with what of the recipe reads it first. A replay asks nobody outside, so it needs none but for
    training."""
    asked = [stage for stage in stages if recipe.replay is None or stage == "train"]
    sections = [section for stage in asked for section in _SECTIONS[stage]]
    if "evaluate" in asked and any(isinstance(entry, TeacherSystem) for entry in recipe.evaluate.systems):
        sections.append("teacher")
    found: dict[tuple[str | None, str | None], ApiKey] = {}
    for section in dict.fromkeys(sections):
        for where, env, file in _keys(section, getattr(recipe, section)):
            found.setdefault((env, file), ApiKey(env, file, f"The recipe's {where}"))
    return tuple(found.values())


def place_of(key: ApiKey) -> str:
    """In words, for people."""
    return f"the file {key.file}" if key.file is not None else f"the environment variable {key.env}"


def _keys(where: str, value: object) -> Iterator[tuple[str, str | None, str | None]]:
    """Place in the recipe, variable, file. A file goes before a variable, as where keys are read."""
    if isinstance(value, BaseModel):
        env, file = getattr(value, "api_key_env", None), getattr(value, "api_key_file", None)
        if env is not None or file is not None:
            yield where, None if file is not None else env, file
        for name in type(value).model_fields:
            yield from _keys(f"{where}.{name}", getattr(value, name))
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from _keys(f"{where}.{number}", item)
