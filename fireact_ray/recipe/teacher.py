"""The teacher of a recipe: its model, price, limits and agents. A scripted one is started where it is needed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.models.base import ChatModel
from fireact_ray.agent.models.dialects import read_values
from fireact_ray.agent.models.metered import MeteredChat, Quota
from fireact_ray.agent.models.openai import OPENAI_URL, OpenAIChat
from fireact_ray.agent.models.openai_reply import read_completion
from fireact_ray.agent.models.retry import Retrying, RetryPolicy
from fireact_ray.agent.models.served_reply import read_served
from fireact_ray.agent.models.slots import slotted
from fireact_ray.agent.placeholders import UnopenedModel
from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.quota.config import BudgetConfig
from fireact_ray.agent.quota.gate import LocalQuota
from fireact_ray.agent.quota.ledger import QuotaLimits
from fireact_ray.agent.quota.prices import read_prices
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.agent.tools.noise import Noise
from fireact_ray.core.errors import InputError
from fireact_ray.core.secrets import read_api_key
from fireact_ray.demo.teacher.protocol import MODEL_NAME as SCRIPTED_NAME
from fireact_ray.recipe.models import (
    OpenAIModelConfig,
    ScriptedModelConfig,
    TeacherModelConfig,
    limits_of,
    sampling_of,
)
from fireact_ray.recipe.schema import Recipe, TeacherConfig
from fireact_ray.recipe.search import search_tools
from fireact_ray.tasks import TASKS

LOOPBACK = "127.0.0.1"
_ANYWHERE = "192.0.2.1"  # of no host: the way out of this machine
_LEASE_MARGIN_S = 60.0  # over the call's own time limit, for queues and slow machines
_OWN = ("temperature", "stop", "seed", "max_tokens", "max_completion_tokens")  # an agent's own, never sent to it


def open_teacher(
    config: TeacherModelConfig, quota: Quota, slots: int | None = None, *, is_agent: bool = False
) -> ChatModel:
    """From the outside in: retries, quota, slots, client. A few calls more than there are slots hold a lease, so that
    one is always ready when a slot falls free. `is_agent`: what answers is a served agent, which is asked the question
    alone and replies with a whole rollout. Raises InputError naming the variable or file of a missing key."""
    if not isinstance(config, OpenAIModelConfig):
        raise InputError("A scripted teacher has no address yet: start it first (recipe.teacher.running_teacher).")
    asked_by = f"The model '{config.name}'"
    key = read_api_key(config.api_key_env, config.api_key_file, asked_by)
    effort = {} if config.reasoning_effort is None else {"reasoning_effort": config.reasoning_effort}
    client = OpenAIChat(
        config.name,
        base_url=config.base_url,
        api_key=key,
        timeout_s=config.timeout_s,
        leave_out=_OWN if is_agent else config.leave_out or (),
        key_header=config.key_header,
        folds_system=config.system == "fold",
        extra_body={**effort, **(config.extra_body or {})},
        extra_headers=read_values(config.extra_headers or {}, asked_by),
        extra_query=read_values(config.extra_query or {}, asked_by),
        read=read_served if is_agent else read_completion,
    )
    metered = MeteredChat(slotted(client, slots), quota)
    ready = slotted(metered, None if slots is None else slots + 2 + slots // 20)
    return Retrying(ready, RetryPolicy(max_attempts=config.max_attempts))


def teacher_name(config: TeacherModelConfig) -> str:
    return config.name if isinstance(config, OpenAIModelConfig) else SCRIPTED_NAME


def teacher_price(recipe: Recipe) -> Price | None:
    """None where it is unknown. Raises InputError where it is unknown and there is a budget in $."""
    model, quota, cap = recipe.teacher.model, recipe.teacher.quota, recipe.generate.budget.max_cost_usd
    if not isinstance(model, OpenAIModelConfig):
        return None
    prices = read_prices(quota.prices)
    host = urlsplit(model.base_url or OPENAI_URL).hostname or ""
    price = prices.find(host, model.name)
    if price is None and cap is not None:
        raise InputError(
            f"generate.budget.max_cost_usd = {cap:g} needs a price, and {quota.prices or 'the shipped price file'} "
            f"(of {prices.as_of}) has none of '{model.name}' at {host}. Name a file that has in teacher.quota.prices."
        )
    return price


def teacher_limits(recipe: Recipe) -> QuotaLimits:
    quota, model = recipe.teacher.quota, recipe.teacher.model
    timeout_s = model.timeout_s if isinstance(model, OpenAIModelConfig) else 0.0
    return QuotaLimits(
        quota.requests_per_minute, quota.tokens_per_minute, quota.max_concurrency, lease_s=timeout_s + _LEASE_MARGIN_S
    )


def instead(recipe: Recipe, teacher: TeacherConfig) -> Recipe:
    """The recipe with another model in the teacher's place: asked as it is, under its own quota, by no budget of the
    teacher."""
    generate = recipe.generate.model_copy(update={"budget": BudgetConfig()})
    return recipe.model_copy(update={"teacher": teacher, "generate": generate})


@dataclass(frozen=True)
class TeacherAgents:
    """Builds the teacher's agents, one per method; picklable, so that each worker builds its own.

    `quota`: shared with others (see stages.actors.quota); None is one of the agents' own, and no budget. With `opened`
    False the model cannot be called. `few_shot` False: its prompts have no examples, as for a model that was trained.
    `noise`: faults to order in their searches.
    """

    recipe: Recipe
    quota: Quota | None = None
    opened: bool = True
    few_shot: bool = True
    noise: Noise | None = None

    def __call__(self, backend: SearchBackend, slots: int | None = None) -> dict[str, Agent]:
        recipe, teacher = self.recipe, self.recipe.teacher
        price = teacher_price(recipe)
        model: ChatModel = UnopenedModel(teacher_name(teacher.model))
        if self.opened:
            model = open_teacher(teacher.model, self.quota or LocalQuota(teacher_limits(recipe)), slots)
        return {
            name: Agent(
                method=make_method(name, recipe.task.name, self.few_shot, teacher.reflect_every, recipe.search.names),
                model=model,
                tools=search_tools(recipe.search, backend, self.noise),
                sampling=sampling_of(teacher.sampling),
                limits=limits_of(teacher.limits),
                score=TASKS[recipe.task.name].score,
                price=price,
                noise=self.noise,
            )
            for name in teacher.methods
        }


@contextmanager
def running_teacher(recipe: Recipe, *, needed: bool = True) -> Iterator[Recipe]:
    """The recipe with its scripted teacher replaced by the address of a running one; other recipes as they are."""
    config = recipe.teacher.model
    if not needed or not isinstance(config, ScriptedModelConfig):
        yield recipe
        return
    from fireact_ray.demo.teacher.server import ScriptedTeacher

    host = reachable_host(recipe.ray.address or os.environ.get("RAY_ADDRESS"))
    with ScriptedTeacher.from_config(config.model_dump(), seed=recipe.seed, host=host) as teacher:
        model = OpenAIModelConfig(kind="openai", name=teacher.model_name, base_url=teacher.base_url, api_key_env=None)
        yield recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"model": model})})


def reachable_host(cluster: str | None) -> str:
    """Where workers of this cluster reach this machine: the address by which it would reach the cluster's head.

    Loopback where the cluster is this machine, or where there is no way to the head, as who joins it will say.
    """
    if cluster in (None, "", "local"):
        return LOOPBACK
    head = _ANYWHERE if cluster == "auto" else urlsplit(f"//{cluster.rpartition('://')[2]}").hostname
    try:
        family, kind, _, _, address = socket.getaddrinfo(head, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # of a datagram socket: chooses a way, sends nothing
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return LOOPBACK
