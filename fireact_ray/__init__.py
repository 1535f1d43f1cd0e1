"""From a teacher model, tools and questions to a fine-tuned, evaluated, served agent, on a Ray cluster.

Importing this package loads neither ray nor torch; the names below are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireact_ray.agent.agent import Agent
    from fireact_ray.core.storage.trajectories import read_trajectories
    from fireact_ray.core.types import Question, Step, Trajectory
    from fireact_ray.recipe.ask import ask
    from fireact_ray.recipe.loader import load_recipe
    from fireact_ray.recipe.schema import Recipe
    from fireact_ray.recipe.student import student_agent
    from fireact_ray.recipe.teacher import TeacherAgents

_HOME = {
    "Agent": "agent.agent",
    "Question": "core.types",
    "Recipe": "recipe.schema",
    "Step": "core.types",
    "TeacherAgents": "recipe.teacher",
    "Trajectory": "core.types",
    "ask": "recipe.ask",
    "load_recipe": "recipe.loader",
    "read_trajectories": "core.storage.trajectories",
    "student_agent": "recipe.student",
}

__all__ = [
    "Agent",
    "Question",
    "Recipe",
    "Step",
    "TeacherAgents",
    "Trajectory",
    "ask",
    "load_recipe",
    "read_trajectories",
    "student_agent",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fireact_ray' has no attribute '{name}'")
    return getattr(import_module(f"fireact_ray.{_HOME[name]}"), name)
