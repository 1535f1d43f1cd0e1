"""What trainings and evaluations took before, and what of their rows is there: in the students and cells of all
experiments of a recipe, and in its own run."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from fireact_ray.core.paths import last_name
from fireact_ray.core.storage.artifacts import MODEL_CARD
from fireact_ray.core.storage.folder import Folder
from fireact_ray.evaluation.experiments.results import NORMAL, Asked
from fireact_ray.evaluation.pace import Pace, asked_in, pace_of, together
from fireact_ray.recipe.experiments.asking import asked_of
from fireact_ray.recipe.experiments.graph import EXPERIMENTS, FINETUNED, STUDENTS, Task, unkeyed
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import local_student
from fireact_ray.recipe.trials import Trial
from fireact_ray.stages.experiment import Plan
from fireact_ray.stages.plan_training import MeasuredSteps, measured_steps
from fireact_ray.stages.shared_rows import evaluations_in, evaluations_of, generations_like, keys_to_take


class _System(NamedTuple):
    """Whose rollouts take alike, whatever cell and seed they are of."""

    name: str
    condition: str
    model: str


class Recorded:
    def __init__(self, plan: Plan) -> None:
        self._places: defaultdict[_System, set[str]] = defaultdict(set)  # evaluations, by their URI
        self._asked: dict[tuple[str, str], _System] = {}  # by task and trial
        self._paces: dict[_System, Pace | None] = {}
        self._there: defaultdict[str, list[Folder]] = defaultdict(list)  # evaluations by their keys
        self._of_students: defaultdict[str, set[str]] = defaultdict(set)  # and of students, whichever
        self._home = Folder(plan.parts[0].graph.home)
        for key, folder in evaluations_in(self._home):
            self._there[key].append(folder)
            self._of_students[unkeyed(last_name(folder.uri))].add(folder.uri)
        for part in plan.parts:
            run = Folder(part.graph.home.removesuffix(f"/{EXPERIMENTS}"))
            for cell in part.cells:
                task = part.graph.tasks[part.graph.by_cell[cell.name]]
                for asked in asked_of(cell, task.recipe):
                    self._add(asked, task, run)

    def pace(self, task: Task, trial: Trial) -> Pace | None:
        """Of the rows of all such systems together; None where none is recorded."""
        system = self._asked.get((task.id, trial.label))
        if system is None:  # of no cell: a student answers the training questions
            system = _System(FINETUNED, NORMAL, local_student(task.recipe).base_model)
        if system not in self._paces:
            places = (Folder(uri) / "trajectories" for uri in sorted(self._places[system]))
            self._paces[system] = together(map(pace_of, places))
        return self._paces[system]

    def asked(self, key: str) -> set[str]:
        """The questions, by id, that have a row in some evaluation of that key."""
        return set[str]().union(*(asked_in(folder / "trajectories") for folder in self._there[key]))

    def generated_like(self, recipe: Recipe) -> set[str]:
        """Keys of the rows that a generation would take over."""
        return keys_to_take(generations_like(recipe, self._home))

    def steps(self, recipe: Recipe) -> MeasuredSteps | None:
        """`recipe`: of a student's training."""
        home = recipe.run_dir.rpartition(f"/{STUDENTS}/")[0]
        students = Folder(home) / STUDENTS
        names = sorted({file.name.partition("/")[0] for file in students.files_below(MODEL_CARD)})
        return measured_steps(
            recipe, [*(students / name for name in names), Folder(home.removesuffix(f"/{EXPERIMENTS}"))]
        )

    def _add(self, asked: Asked, task: Task, run: Folder) -> None:
        system = _System(asked.system, asked.condition, asked.model)
        self._asked[task.id, last_name(asked.folder.uri)] = system
        own = asked.system if asked.condition == NORMAL else f"{asked.system}@{asked.condition}"
        label = last_name(asked.folder.uri)
        alike = {folder.uri for folder in self._there[evaluations_of(task.recipe)[label]]}
        if asked.trained:
            alike |= self._of_students[unkeyed(label)]
        self._places[system] |= {asked.folder.uri, (run / "evaluations" / own).uri, *alike}
