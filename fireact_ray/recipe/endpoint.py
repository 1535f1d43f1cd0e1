"""A served agent as a system to evaluate, asked under a quota as any model of an API is."""

from __future__ import annotations

from dataclasses import dataclass

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.endpoint import EndpointAgent
from fireact_ray.agent.methods.served import ENDPOINT, Served
from fireact_ray.agent.models.base import ChatModel
from fireact_ray.agent.placeholders import UnopenedModel
from fireact_ray.agent.quota.gate import LocalQuota
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.recipe.models import LimitsConfig, OpenAIModelConfig, limits_of
from fireact_ray.recipe.schema import Recipe, TeacherConfig
from fireact_ray.recipe.systems import EndpointSystem
from fireact_ray.recipe.teacher import TeacherAgents, instead, open_teacher, teacher_limits, teacher_price
from fireact_ray.tasks import TASKS


@dataclass(frozen=True)
class EndpointAgents(TeacherAgents):
    """Builds the one agent that stands for what answers at the address of its recipe's teacher."""

    def __call__(self, backend: SearchBackend, slots: int | None = None) -> dict[str, Agent]:
        recipe, teacher = self.recipe, self.recipe.teacher
        model: ChatModel = UnopenedModel(teacher.model.name if isinstance(teacher.model, OpenAIModelConfig) else "")
        if self.opened:
            quota = self.quota or LocalQuota(teacher_limits(recipe))
            model = open_teacher(teacher.model, quota, slots, is_agent=True)
        agent = EndpointAgent(
            method=Served(),
            model=model,
            tools={},
            limits=limits_of(teacher.limits),
            score=TASKS[recipe.task.name].score,
            price=teacher_price(recipe),
        )
        return {ENDPOINT: agent}


def at_endpoint(recipe: Recipe, entry: EndpointSystem) -> Recipe:
    """The recipe with the endpoint in the teacher's place. A rollout has time for all tries of its call."""
    model = OpenAIModelConfig(
        kind="openai",
        name=entry.model,
        base_url=entry.base_url,
        api_key_env=entry.api_key_env,
        api_key_file=entry.api_key_file,
        key_header=entry.key_header,
        extra_body=entry.extra_body,
        extra_headers=entry.extra_headers,
        timeout_s=entry.timeout_s,
        max_attempts=entry.max_attempts,
    )
    limits = LimitsConfig(max_steps=1, timeout_s=entry.timeout_s * (entry.max_attempts + 1))
    return instead(recipe, TeacherConfig(model=model, limits=limits, quota=entry.quota))
