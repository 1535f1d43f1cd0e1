"""Reading an experiment: shipped or a file, what the recipe says of it, and `--set experiment.key=value`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fireact_ray.core.errors import InputError, RecipeError
from fireact_ray.core.utils.problems import problems_of
from fireact_ray.core.utils.text import nearest
from fireact_ray.recipe.experiments.config import ExperimentConfig
from fireact_ray.recipe.experiments.fragments import laid_over
from fireact_ray.recipe.loader import read_data
from fireact_ray.recipe.schema import Recipe

_HOME = "fireact_ray.recipe.experiments"
_GROUPS = ("axes", "cells", "evaluate_on")
_PREFIX = "experiment."
_PAPER = "paper_numbers"


def shipped_experiments() -> list[str]:
    files = (file.name for file in resources.files(_HOME).iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml") and _PAPER not in name)


def load_experiment(source: str, recipe: Recipe, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The experiment of a YAML file, or of a shipped name, as `recipe.experiments` and the overrides change it.

    Raises InputError where there is none, RecipeError with all problems of its content.
    """
    label, text = _read(source)
    data = read_data(label, text)
    data = laid_over(data, recipe.experiments.get(str(data.get("name")), {}))
    data = read_data(label, yaml.safe_dump(data, sort_keys=False), overrides)
    data["axes"] = _by_setting(data.get("axes") or {})
    for name in _GROUPS:  # null takes out what the definition has
        if isinstance(data.get(name), dict):
            data[name] = {key: value for key, value in data[name].items() if value is not None}
    try:
        return ExperimentConfig.model_validate(data)
    except ValidationError as error:
        problems = [f"{label}: {problem}" for problem in problems_of(error, ExperimentConfig, "experiment")]
        raise RecipeError("\n".join(problems)) from None


def unread_changes(experiment: ExperimentConfig, recipes: Sequence[Recipe]) -> list[str]:
    """What stands in the recipes' `experiments` and changes nothing, as sentences."""
    known = {*shipped_experiments(), experiment.name, *experiment.parts}
    said = [
        f"recipe {recipe.name}: `experiments` names {name}, which is no known experiment.{_hint(name, known)}"
        for recipe in recipes
        for name in recipe.experiments
        if name not in known
    ]
    said += [
        f"recipe {recipe.name}: its `experiments` are not read, those of {recipes[0].name}, the first recipe, are"
        for recipe in recipes[1:]
        if recipe.experiments and recipe.experiments != recipes[0].experiments
    ]
    return said


def _hint(name: str, known: Collection[str]) -> str:
    return f" Did you mean '{near}'?" if (near := nearest(name, known)) else ""


def _by_setting(axes: Any) -> Any:
    """Overrides say `axes.convert.n=[1, 2]`, definitions `axes: {convert.n: [1, 2]}`."""
    if not isinstance(axes, dict):
        return axes
    nested = {name: axis for name, axis in axes.items() if name in Recipe.model_fields and isinstance(axis, dict)}
    plain = {name: axis for name, axis in axes.items() if name not in nested}
    return plain | {f"{name}.{key}": value for name, axis in nested.items() for key, value in _lists(axis)}


def _lists(axis: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in axis.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", found) for inner, found in _lists(value))
        else:
            yield key, value


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of recipes, and those of the experiment, which begin with `experiment.`."""
    of_experiment = [text.removeprefix(_PREFIX) for text in overrides if text.startswith(_PREFIX)]
    return [text for text in overrides if not text.startswith(_PREFIX)], of_experiment


def paper_numbers() -> dict[str, Any]:
    """What the paper reports, by table."""
    text = (resources.files(_HOME) / f"{_PAPER}.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def _read(source: str) -> tuple[str, str]:
    shipped = shipped_experiments()
    if source in shipped:
        return f"{source}.yaml", (resources.files(_HOME) / f"{source}.yaml").read_text(encoding="utf-8")
    path = Path(source)
    if not path.is_file():
        raise InputError(
            f"Experiment '{source}': no such file, and no shipped experiment of that name.{_hint(source, shipped)} "
            f"Shipped: {', '.join(shipped)}."
        )
    try:
        return path.name, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Experiment '{source}': cannot be read as UTF-8 text: {error}") from None
