"""A fragment laid over a recipe's data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fireact_ray.recipe.loader import validated
from fireact_ray.recipe.schema import Recipe

_WHOLE = ("kind", "name")  # a section that says which one it is replaces another one: nothing of that one applies


def laid_over(data: Mapping[str, Any], fragment: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the fragment's values; sections are merged key by key, lists are replaced."""
    merged = dict(data)
    for key, value in fragment.items():
        before = merged.get(key)
        is_other = isinstance(value, Mapping) and any(name in value for name in _WHOLE)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and not is_other:
            merged[key] = laid_over(before, value)
        else:
            merged[key] = value
    return merged


def changed(recipe: Recipe, fragment: Mapping[str, Any], label: str) -> Recipe:
    """Raises RecipeError, which names `label`, where the result is no recipe."""
    data = recipe.model_dump(mode="json", exclude={"experiments"})
    return validated(label, laid_over(data, fragment))


def at(setting: str, value: Any) -> dict[str, Any]:
    """The fragment that sets `a.b` to a value."""
    first, _, rest = setting.partition(".")
    return {first: at(rest, value) if rest else value}
