"""Reading a recipe: file or shipped name, dotted overrides, and every problem reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fireact_ray.core.errors import InputError, RecipeError
from fireact_ray.core.paths import last_name
from fireact_ray.core.secrets import redact
from fireact_ray.core.settings import NAMES
from fireact_ray.core.storage.source import read_text
from fireact_ray.core.utils.problems import problems_of
from fireact_ray.core.utils.text import nearest
from fireact_ray.recipe.schema import Recipe


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a YAML file, or of a name shipped with the package ("demo"), with `key.sub=value` overrides.

    Relative paths of both are taken from the current folder. Raises InputError for a missing or unreadable file,
    RecipeError with all problems of its content.
    """
    return parse_recipe(*_read(source), overrides)


def given_output_dir(source: str, overrides: Sequence[str] = ()) -> str | None:
    """`output_dir` as the recipe or an override says it, before it is made absolute; None where neither does."""
    given = read_data(*_read(source), overrides).get("output_dir")
    return None if given is None else str(given)


def parse_recipe(label: str, text: str, overrides: Sequence[str] = ()) -> Recipe:
    """The same of a text; `label` names it in messages."""
    return validated(label, read_data(label, text, overrides))


def read_data(label: str, text: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping that a text holds, with overrides in it; not validated yet. Raises InputError."""
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{label}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise InputError(f"{label}: expected a mapping of sections, found {type(data).__name__}.")
    for override in overrides:
        _override(data, override)
    return data


def validated(label: str, data: dict[str, Any]) -> Recipe:
    """Raises RecipeError with all problems."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        problems = [f"{label}: {problem}" for problem in problems_of(error, Recipe, "recipe")]
        raise RecipeError(redact("\n".join(problems))) from None  # a key may stand where only its name may


def shipped_recipes() -> list[str]:
    folder = resources.files("fireact_ray.recipe.shipped")
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def to_yaml(recipe: Recipe, *, places: bool = True) -> str:
    """The resolved recipe; loading it again gives an equal one. Without `places` paths are last names, and there are
    no experiments: for others."""
    unused = set() if recipe.experiments and places else {"experiments"}
    data = recipe.model_dump(mode="json", context=None if places else NAMES, exclude=unused)
    text: str = yaml.safe_dump(data, sort_keys=False)
    return text


def _read(source: str) -> tuple[str, str]:
    if source in shipped_recipes():
        file = resources.files("fireact_ray.recipe.shipped") / f"{source}.yaml"
        return f"{source}.yaml", file.read_text(encoding="utf-8")
    if "://" in source:
        return last_name(source.partition("?")[0]), read_text(source)
    path = Path(source)
    if not path.is_file():
        hint = f" Did you mean '{near}'?" if (near := nearest(source, shipped_recipes())) else ""
        known = ", ".join(shipped_recipes())
        raise InputError(
            f"Recipe '{source}': no such file, and no shipped recipe of that name.{hint} Shipped: {known}."
        )
    try:
        return path.name, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Recipe '{source}': cannot be read as UTF-8 text: {error}") from None


def _override(data: dict[str, Any], override: str) -> None:
    """Set one `a.b=value`; the value is read as YAML, so `null`, numbers and lists are what they look like."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InputError(f"--set {override}: expected key=value, for example --set train.epochs=5.")
    *parents, last = key.split(".")
    node = data
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise InputError(f"--set {override}: '{parent}' holds the value {child!r}, it has no keys.")
        node = child
    node[last] = yaml.safe_load(value)
