"""From the `evaluate` section to what is evaluated: each system, in each condition that can touch it, under each seed
that can change it."""

from __future__ import annotations

from dataclasses import dataclass

from fireact_ray.agent.methods import make_method
from fireact_ray.recipe.models import SamplingConfig
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.systems import Condition, EndpointSystem, Entry, RunSystem, TeacherSystem


@dataclass(frozen=True)
class Trial:
    """One folder of evaluations/. `condition` None is the normal one; `seed` None leaves the recipe's."""

    entry: Entry
    condition: Condition | None = None
    seed: int | None = None

    @property
    def label(self) -> str:
        """`system`, `system@condition`, `system~seed` or `system@condition~seed`: no name holds either sign."""
        where = "" if self.condition is None else f"@{self.condition.name}"
        return f"{self.entry.name}{where}" + ("" if self.seed is None else f"~{self.seed}")


def trials_of(recipe: Recipe) -> list[Trial]:
    """In the order of the recipe, of a system the normal condition first."""
    config = recipe.evaluate
    return [
        Trial(entry, condition, seed)
        for entry in config.systems
        for condition in (None, *(config.conditions if searches(recipe, entry) else ()))
        for seed in (config.seeds if config.seeds and samples(recipe, entry) else (None,))
    ]


def searches(recipe: Recipe, entry: Entry) -> bool:
    """Whether faults in our search can reach it: a served agent has its own, a recorded row had its own, and IO and CoT
    have none."""
    if isinstance(entry, EndpointSystem | RunSystem):
        return False
    return bool(make_method(entry.method, recipe.task.name).tools)


def samples(recipe: Recipe, entry: Entry) -> bool:
    """Whether a seed of ours can change what it says."""
    sampling = sampling_of_entry(recipe, entry)
    return sampling is not None and sampling.temperature > 0


def sampling_of_entry(recipe: Recipe, entry: Entry, seed: int | None = None) -> SamplingConfig | None:
    """None where it is not ours. `seed` None: the recipe's."""
    if isinstance(entry, EndpointSystem | RunSystem):
        return None
    sampling = recipe.student.sampling
    if isinstance(entry, TeacherSystem):
        sampling = entry.sampling or recipe.teacher.sampling
    return sampling if seed is None else sampling.model_copy(update={"seed": seed})
