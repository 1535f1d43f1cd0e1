"""What an experiment is: a question, the cells that answer it, and the tables that show the answer.

A fragment is a part of a recipe that a cell lays over the recipe it is run with. Beside sections of a recipe it may
hold `generations`, a list of fragments: the trajectories that the cell's student learns from, one generation for each
(one empty fragment: the recipe's own), or `{student_of: CELL}`: what the student of another cell gets right on the
training questions.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from fireact_ray.core.settings import Name, Section, one_of
from fireact_ray.evaluation.experiments.tables import TABLES

Fragment = dict[str, Any]
TableName = Annotated[str, one_of("table", TABLES)]


class ExperimentConfig(Section):
    """A grid. Its cells are `cells`, and the product of the `axes`.

    An axis is a mapping of named fragments, or the values of one setting (`convert.n: [100, 200]`). As an axis `seed`
    is that of the student: trajectories are those of the recipe's own seed. `all_cells`: laid over the recipe first.
    `evaluate_on`: fragments for the evaluation alone, such as other tasks; each cell is evaluated on each. One that is
    called `own` is shown by the name of the recipe's task.
    `equal_steps`: cells with fewer rows (`convert.n`) train for more epochs, so that all take as many optimizer steps.
    `parts`: names of other experiments; such an experiment is these, and has nothing else.
    """

    name: Name
    question: str
    axes: dict[str, dict[str, Fragment] | list[Any]] = Field(default_factory=dict)
    cells: dict[str, Fragment] = Field(default_factory=dict)
    all_cells: Fragment = Field(default_factory=dict)
    evaluate_on: dict[str, Fragment] = Field(default_factory=dict)
    equal_steps: bool = False
    tables: tuple[TableName, ...] = ()
    parts: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _parts_are_all(self) -> ExperimentConfig:
        others = (name for name in type(self).model_fields if name not in ("name", "question", "parts"))
        own = [name for name in others if getattr(self, name)]
        if self.parts and own:
            raise ValueError(
                f"{', '.join(own)}: this experiment is its parts ({', '.join(self.parts)}) and has nothing else. "
                "Change a part by its own name, in the recipe's `experiments`"
            )
        return self
