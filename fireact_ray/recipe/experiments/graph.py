"""Cells -> the tasks that they need, each once: generate, convert, train, evaluate. Pure.

    <run folder of the recipe>/experiments/generations/<task>-<key>-by-<methods>/  trajectories
                                           students/<base>-<tuning>-<key>/         dataset, checkpoints, model
                                           <experiment>/cells/<cell>/              evaluations

A generation and a student are named by what shapes them, so that cells, and experiments, share what is the same. Each
folder is that of a run, made by the stage that also makes it without an experiment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.paths import last_name
from fireact_ray.core.settings import NAMES
from fireact_ray.recipe.experiments.expansion import Cell, StudentOf
from fireact_ray.recipe.inputs import generate_inputs
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import local_student
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.recipe.systems import Entry, ModelSystem, StudentSystem
from fireact_ray.training.config import TrainConfig, TrainSettings

EXPERIMENTS, GENERATIONS, STUDENTS, CELLS = "experiments", "generations", "students", "cells"
METHODS = "-by-"
FINETUNED = "finetuned"


class Kind(StrEnum):
    GENERATE = "generate"
    CONVERT = "convert"
    TRAIN = "train"
    EVALUATE = "evaluate"


@dataclass(frozen=True)
class Task:
    """One stage in one run folder, that of `recipe`. `needs`: ids of tasks before it; `cells`: what needs it."""

    kind: Kind
    recipe: Recipe
    needs: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.kind} {self.recipe.run_dir.rpartition(f'/{EXPERIMENTS}/')[2]}"


@dataclass
class Graph:
    """`tasks`: by id, each behind those that it needs. `by_cell`: the id of the cell's evaluation."""

    home: str
    tasks: dict[str, Task] = field(default_factory=dict)
    by_cell: dict[str, str] = field(default_factory=dict)

    def add(self, task: Task, cell: str) -> str:
        """Its id. A task that is there already serves this cell, too."""
        there = self.tasks.get(task.id, task)
        self.tasks[task.id] = replace(there, cells=tuple(dict.fromkeys((*there.cells, cell))))
        return task.id


def graph_of(cells: Sequence[Cell], home: str, experiment: str) -> Graph:
    """`home`: the folder of all experiments of a recipe."""
    graph, students = Graph(home), dict[str, tuple[str, str]]()
    for cell in cells:
        needs: tuple[str, ...] = ()
        evaluated = _in(cell.evaluated, f"{home}/{experiment}/{CELLS}", cell.name)
        if needs_student(cell.evaluated):
            trained, model = _train(graph, cell, students)
            students[cell.name] = (trained, model)
            needs, evaluated = (trained,), with_student(evaluated, model)
        graph.by_cell[cell.name] = graph.add(Task(Kind.EVALUATE, evaluated, needs), cell.name)
    return graph


def needs_student(recipe: Recipe) -> bool:
    """Whether the student that the recipe trains is evaluated. Raises InputError where that is a hosted one."""
    needed = any(entry.kind == FINETUNED for entry in recipe.evaluate.systems)
    if needed and not isinstance(recipe.student, StudentConfig):
        raise InputError(
            f"recipe {recipe.name}: an experiment trains local students, and student.kind is {recipe.student.kind}. "
            "Train that one by `fireact run`, and name its model in evaluate.systems as {kind: teacher, model: ...}."
        )
    return needed


def with_student(recipe: Recipe, model: str) -> Recipe:
    """The recipe, but for its student, which is one that was trained elsewhere. Its evaluations have that one's name:
    where an experiment changes, those of earlier students stay beside them."""
    entries = tuple(_elsewhere(entry, model) for entry in recipe.evaluate.systems)
    return recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"systems": entries})})


def _elsewhere(entry: Entry, model: str) -> Entry:
    if not isinstance(entry, StudentSystem) or entry.kind != FINETUNED:
        return entry
    return ModelSystem(kind="model", name=evaluated_name(entry, model), path=model, method=entry.method)


def evaluated_name(entry: StudentSystem, model: str) -> str:
    """`nano-full-1a2b3c4d`, and `...-finetuned-cot` of an entry that is not the student by ReAct."""
    student = model.removesuffix("/model").rpartition("/")[2]
    return student if entry.name == FINETUNED else f"{student}-{entry.name}"


def unkeyed(evaluation: str) -> str:
    """The name of a student's evaluation without what tells the student from others of its base and tuning."""
    return re.sub(r"-[0-9a-f]{8}(?![^-@~])", "", evaluation, count=1)


def generation_key(recipe: Recipe) -> str:
    """Of what shapes the rows of a generation, but for its methods: rows of one method are the same in all of these."""
    return content_hash([generate_inputs(recipe), recipe.generate.n_questions, asdict(recipe.generate.policy)], 8)


def generation_name(recipe: Recipe) -> str:
    """What stands before its methods is common to generations that share rows."""
    return f"{recipe.task.name}-{generation_key(recipe)}{METHODS}{'-'.join(recipe.teacher.methods)}"


def student_key(recipe: Recipe, generations: Sequence[str]) -> str:
    """Of what shapes a student: its base, what it learns from, what convert lets pass, how it is trained."""
    student = local_student(recipe)
    kept_out = [recipe.task.name, recipe.task.path and last_name(recipe.task.path), recipe.evaluate.split]
    convert = recipe.convert.model_dump(mode="json", context=NAMES, exclude={"sources"}, exclude_defaults=True)
    shared = recipe.train.model_dump(include=set(TrainSettings.model_fields))
    training = TrainConfig(base_model=student.base_model, seed=recipe.seed, **shared).shaping()
    return content_hash([student.renderer, kept_out, convert, training, sorted(generations)], 8)


def _train(graph: Graph, cell: Cell, students: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """The id of the training, and the folder of its model."""
    made = [_source(graph, cell, source, students) for source in cell.generations]
    sources = tuple(place for place, _ in made)
    key = student_key(cell.recipe, [place.removeprefix(graph.home) for place in sources])
    recipe = _in(cell.recipe, f"{graph.home}/{STUDENTS}", f"{_student_label(cell.recipe)}-{key}")
    recipe = recipe.model_copy(update={"convert": recipe.convert.model_copy(update={"sources": sources})})
    converted = graph.add(Task(Kind.CONVERT, recipe, tuple(dict.fromkeys(task for _, task in made))), cell.name)
    return graph.add(Task(Kind.TRAIN, recipe, (converted,)), cell.name), f"{recipe.run_dir}/model"


def _source(
    graph: Graph, cell: Cell, source: Recipe | StudentOf, students: dict[str, tuple[str, str]]
) -> tuple[str, str]:
    """The place of the rows, and the id of the task that makes them."""
    home = f"{graph.home}/{GENERATIONS}"
    if isinstance(source, StudentOf):
        needs, model = students[source.cell]
        own = answering_training_questions(cell.recipe)
        key = content_hash([model.removeprefix(graph.home), own.evaluate.split, own.evaluate.n_questions], 8)
        recipe = with_student(_in(own, home, f"student-{key}"), model)
        (student,) = recipe.evaluate.systems
        task = graph.add(Task(Kind.EVALUATE, recipe, (needs,)), cell.name)
        return f"{recipe.run_dir}/evaluations/{student.name}", task
    recipe = _in(source, home, generation_name(source))
    return recipe.run_dir, graph.add(Task(Kind.GENERATE, recipe), cell.name)


def answering_training_questions(recipe: Recipe) -> Recipe:
    """The student, and it alone, is asked the questions that the teacher was asked."""
    config = recipe.evaluate.model_copy(
        update={
            "split": recipe.generate.split,
            "n_questions": recipe.generate.n_questions,
            "systems": (StudentSystem(kind="finetuned", name=FINETUNED),),
            "conditions": (),
            "seeds": (),
        }
    )
    return recipe.model_copy(update={"evaluate": config})


def _in(recipe: Recipe, output_dir: str, name: str) -> Recipe:
    """All tasks of all experiments of a recipe share its budget."""
    home = output_dir.rpartition(f"/{EXPERIMENTS}/")[0] + f"/{EXPERIMENTS}"
    budget = recipe.generate.budget.model_copy(update={"over": home})
    generate = recipe.generate.model_copy(update={"budget": budget})
    update = {"output_dir": output_dir, "name": name, "generate": generate, "experiments": {}}
    return recipe.model_copy(update=update)


def _student_label(recipe: Recipe) -> str:
    base = last_name(local_student(recipe).base_model)
    return re.sub(r"[^A-Za-z0-9.-]+", "-", f"{base}-{recipe.train.tuning}").strip("-.")
