"""One question through an agent in this process: no Ray, the same Agent."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fireact_ray.agent.agent import AgentBuilder
from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Question, Step, Trajectory
from fireact_ray.recipe.hosted import hosted_agents
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import StudentAgents, student_dir
from fireact_ray.recipe.students import HostedStudentConfig
from fireact_ray.recipe.teacher import TeacherAgents, running_teacher

SYSTEMS = ("finetuned", "base", "teacher")


async def ask(recipe: Recipe, text: str, system: str = "finetuned") -> AsyncIterator[Step | Trajectory]:
    """Each Step, then the Trajectory. Raises InputError for an unknown system or a model that is not there."""
    if system not in SYSTEMS:
        raise InputError(f"--system {system}: unknown. Known: {', '.join(SYSTEMS)}.")
    question = Question(recipe.task.name, content_hash(text), text, answers=())
    backend = open_backend(recipe.search)
    with running_teacher(recipe, needed=system == "teacher") as reachable:
        if system == "teacher":
            agents = TeacherAgents(reachable)(backend)
            agent = agents.get("react") or next(iter(agents.values()))
        else:
            agent = _student(recipe, system)(backend, None)["react"]
        try:
            async for event in agent.stream(question):
                yield event
        finally:
            await agent.close()
            await backend.close()


def _student(recipe: Recipe, system: str) -> AgentBuilder:
    if isinstance(recipe.student, HostedStudentConfig):
        return hosted_agents(recipe, system)
    return StudentAgents(recipe, student_dir(recipe, system), few_shot=system == "base")
