"""An experiment and the recipes it is run with -> its cells. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from fireact_ray.core.errors import RecipeError
from fireact_ray.data.selection.config import QuestionSet
from fireact_ray.recipe.experiments.config import ExperimentConfig, Fragment
from fireact_ray.recipe.experiments.fragments import at, changed, laid_over
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.tasks import TASKS

_GENERATIONS, _STUDENT_OF = "generations", "student_of"
RECIPE, TEST = "recipe", "test"  # axes beside those of the definition
OWN = "own"  # in `evaluate_on`: the recipe's own task, whatever it is


@dataclass(frozen=True)
class StudentOf:
    """What the student of a cell gets right on the training questions."""

    cell: str


@dataclass(frozen=True)
class Cell:
    """`axes`: where it stands in the grid, by axis. `recipe`: by which its student is trained; `evaluated`: by which it
    is evaluated. `generations`: what the student learns from."""

    name: str
    axes: Mapping[str, str]
    recipe: Recipe
    evaluated: Recipe
    generations: tuple[Recipe | StudentOf, ...]


def expand(experiment: ExperimentConfig, recipes: Sequence[Recipe]) -> list[Cell]:
    """All cells, in order. Raises RecipeError where a fragment makes no recipe, or a named cell is not there."""
    cells = [cell for recipe in recipes for cell in _cells(experiment, recipe, several=len(recipes) > 1)]
    _demand_names(experiment, cells)
    return _with_equal_steps(cells) if experiment.equal_steps else cells


def _cells(experiment: ExperimentConfig, recipe: Recipe, *, several: bool) -> Iterator[Cell]:
    of_recipe = {RECIPE: recipe.name} if several else {}
    for axes, fragment in _points(experiment):
        fragment = laid_over(experiment.all_cells, fragment)
        cells = []
        for on, of_evaluation in (experiment.evaluate_on or {"": {}}).items():
            test = recipe.task.name if on == OWN else on
            places = {**of_recipe, **axes, **({TEST: test} if test else {})}
            cells.append(_cell(experiment.name, recipe, places, fragment, of_evaluation))
        yield from _kept_out(cells)


def _kept_out(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Cells of one student. It learns from none of the questions that it is asked in any of them, of the tasks whose
    trajectories it learns from: releases hold a question in several splits. Those of our own tasks share none."""
    for cell in cells:
        own = (cell.recipe.task, cell.recipe.evaluate.split)
        learnt = {cell.recipe.task.name} | {each.task.name for each in cell.generations if isinstance(each, Recipe)}
        asked = dict.fromkeys(
            QuestionSet(task=task.name, path=task.path, split=split)
            for task, split in ((one.evaluated.task, one.evaluated.evaluate.split) for one in cells)
            if (task, split) != own and task.name in learnt and TASKS[task.name].needs_path
        )
        convert = cell.recipe.convert
        against = (
            *convert.decontaminate_against,
            *(each for each in asked if each not in convert.decontaminate_against),
        )
        yield replace(
            cell,
            recipe=cell.recipe.model_copy(
                update={"convert": convert.model_copy(update={"decontaminate_against": against})}
            ),
        )


def _points(experiment: ExperimentConfig) -> Iterator[tuple[dict[str, str], Fragment]]:
    """The cells beside the axes, then the product of these. Without either it is one point."""
    yield from (({"cell": name}, fragment) for name, fragment in experiment.cells.items())
    if experiment.axes or not experiment.cells:
        axes = {name.rpartition(".")[2]: _cases(name, axis) for name, axis in experiment.axes.items()}
        for chosen in product(*(cases.items() for cases in axes.values())):
            fragment: Fragment = {}
            for _, part in chosen:
                fragment = laid_over(fragment, part)
            yield dict(zip(axes, (case for case, _ in chosen), strict=True)), fragment


def _cases(name: str, axis: Mapping[str, Fragment] | Sequence[Any]) -> dict[str, Fragment]:
    return dict(axis) if isinstance(axis, Mapping) else {str(value): at(name, value) for value in axis}


def _cell(
    experiment: str, recipe: Recipe, axes: Mapping[str, str], fragment: Fragment, of_evaluation: Fragment
) -> Cell:
    name = "_".join(_label(axis, case) for axis, case in axes.items()) or "only"
    where = f"experiment {experiment}, cell {name}"
    given = fragment.get(_GENERATIONS, [{}])
    own = {key: value for key, value in fragment.items() if key != _GENERATIONS}
    trained = changed(recipe, own, where)
    return Cell(
        name=name,
        axes=axes,
        recipe=trained,
        evaluated=changed(trained, of_evaluation, where),
        generations=tuple(_generation(trained, recipe.seed, source, axes, where) for source in given),
    )


def _generation(
    trained: Recipe, seed: int, source: Fragment, axes: Mapping[str, str], where: str
) -> Recipe | StudentOf:
    if _STUDENT_OF not in source:
        return changed(trained, {"seed": seed, **source}, where)
    beside = {axis: case for axis, case in axes.items() if axis == RECIPE}
    return StudentOf("_".join(_label(axis, case) for axis, case in {**beside, "cell": source[_STUDENT_OF]}.items()))


def _label(axis: str, case: str) -> str:
    """`n-100`, and of named cases the case alone."""
    text = f"{axis}-{case}" if re.fullmatch(r"[\d.e+-]+|true|false", case.lower()) else case
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")


def _demand_names(experiment: ExperimentConfig, cells: Sequence[Cell]) -> None:
    names = [cell.name for cell in cells]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise RecipeError(
            f"experiment {experiment.name}: several cells are called {', '.join(doubles)}. Give cases, cells and "
            "recipes names that differ."
        )
    for cell in cells:
        for source in cell.generations:
            if isinstance(source, StudentOf) and source.cell not in names[: names.index(cell.name)]:
                raise RecipeError(
                    f"experiment {experiment.name}, cell {cell.name}: student_of names '{source.cell}', which is no "
                    f"cell before it. Before it: {', '.join(names[: names.index(cell.name)]) or 'none'}."
                )


def _with_equal_steps(cells: Sequence[Cell]) -> list[Cell]:
    """Of each recipe the cell with most rows trains for the recipe's epochs, the others for as many steps as that."""
    most: dict[str, int] = {}
    for cell in cells:
        name = cell.axes.get(RECIPE, "")
        most[name] = max(most.get(name, 0), _steps_an_epoch(cell) or 0)
    return [_stretched(cell, most[cell.axes.get(RECIPE, "")]) for cell in cells]


def _stretched(cell: Cell, most: int) -> Cell:
    steps = _steps_an_epoch(cell)
    if steps is None or not isinstance(cell.recipe.student, StudentConfig):
        return cell
    epochs = max(1, round(cell.recipe.train.epochs * most / steps))
    train = cell.recipe.train.model_copy(update={"epochs": epochs})
    return replace(
        cell,
        recipe=cell.recipe.model_copy(update={"train": train}),
        evaluated=cell.evaluated.model_copy(update={"train": train}),
    )


def _steps_an_epoch(cell: Cell) -> int | None:
    n = cell.recipe.convert.n
    return None if n is None else math.ceil(n / cell.recipe.train.global_batch_size)
