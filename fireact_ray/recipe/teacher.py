"""From recipe to objects: the only place where methods, models, tools and tasks meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.models.base import ChatModel, Sampling
from fireact_ray.agent.models.metered import MeteredChat, Quota
from fireact_ray.agent.models.openai import OPENAI_URL, OpenAIChat
from fireact_ray.agent.models.retry import Retrying, RetryPolicy
from fireact_ray.agent.models.slots import Slots, Slotted
from fireact_ray.agent.models.unopened import UnopenedModel
from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.quota.gate import LocalQuota
from fireact_ray.agent.quota.ledger import QuotaLimits
from fireact_ray.agent.quota.prices import read_prices
from fireact_ray.agent.rollout import Limits
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import NANO, named
from fireact_ray.core.secrets import read_api_key
from fireact_ray.core.storage.folder import Folder
from fireact_ray.demo.nano import MODEL_DIR
from fireact_ray.demo.teacher.protocol import MODEL_NAME as SCRIPTED_NAME
from fireact_ray.recipe.schema import (
    LimitsConfig,
    OpenAIModelConfig,
    Recipe,
    SamplingConfig,
    TeacherModelConfig,
)
from fireact_ray.recipe.search import search_tools
from fireact_ray.tasks import TASKS

_LEASE_MARGIN_S = 60.0  # over the call's own time limit, for queues and slow machines

# Agents by method, built where they run; with so many slots for model calls (None: no bound).
AgentBuilder = Callable[[SearchBackend, int | None], dict[str, Agent]]


def open_teacher(config: TeacherModelConfig, quota: Quota, slots: int | None = None) -> ChatModel:
    """From the outside in: retries, quota, slots, client. A few calls more than there are slots hold a lease, so that
    one is always ready when a slot falls free. Raises InputError naming the variable or file of a missing key."""
    if not isinstance(config, OpenAIModelConfig):
        raise InputError("A scripted teacher has no address yet: start it first (stages.teacher.running_teacher).")
    key = read_api_key(config.api_key_env, config.api_key_file, f"The model '{config.name}'")
    client = OpenAIChat(
        config.name,
        base_url=config.base_url,
        api_key=key,
        timeout_s=config.timeout_s,
        leave_out=config.leave_out or (),
    )
    metered = MeteredChat(_slotted(client, slots), quota)
    ready = _slotted(metered, None if slots is None else slots + 2 + slots // 20)
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


def sampling_of(config: SamplingConfig) -> Sampling:
    return Sampling(config.temperature, config.max_new_tokens, seed=config.seed)


def limits_of(config: LimitsConfig) -> Limits:
    return Limits(**config.model_dump())


@dataclass(frozen=True)
class TeacherAgents:
    """Builds the teacher's agents, one per method; picklable, so that each worker builds its own.

    `quota`: shared with others (see stages.actors.quota); None is one of the agents' own, and no budget. With `opened`
    False the model cannot be called.
    """

    recipe: Recipe
    quota: Quota | None = None
    opened: bool = True

    def __call__(self, backend: SearchBackend, slots: int | None = None) -> dict[str, Agent]:
        recipe, teacher = self.recipe, self.recipe.teacher
        price = teacher_price(recipe)
        model: ChatModel = UnopenedModel(teacher_name(teacher.model))
        if self.opened:
            model = open_teacher(teacher.model, self.quota or LocalQuota(teacher_limits(recipe)), slots)
        return {
            name: Agent(
                method=make_method(name, recipe.task.name, reflect_every=teacher.reflect_every),
                model=model,
                tools=search_tools(recipe.search, backend),
                sampling=sampling_of(teacher.sampling),
                limits=limits_of(teacher.limits),
                score=TASKS[recipe.task.name].score,
                price=price,
            )
            for name in teacher.methods
        }


@dataclass(frozen=True)
class StudentAgents:
    """Builds the agent of a local model. `few_shot`: prompt it with examples (a base model), or not (a fine-tuned one).

    With `opened` False its model cannot be called: enough to plan rows without loading weights.
    """

    recipe: Recipe
    model_dir: str
    few_shot: bool
    on_gpu: bool = False
    opened: bool = True

    def __call__(self, backend: SearchBackend, slots: int | None = None) -> dict[str, Agent]:
        from fireact_ray.recipe.student import open_student, student_name

        model: ChatModel = UnopenedModel(student_name(self.model_dir))
        if self.opened:
            model = _slotted(open_student(self.model_dir, self.recipe.student, on_gpu=self.on_gpu), slots)
        return {"react": student_agent(self.recipe, model, backend, few_shot=self.few_shot)}


def student_agent(recipe: Recipe, model: ChatModel, backend: SearchBackend, *, few_shot: bool = False) -> Agent:
    """The agent that is evaluated and served: ReAct over `model`, with the recipe's tools and limits."""
    return Agent(
        method=make_method("react", recipe.task.name, few_shot=few_shot),
        model=model,
        tools=search_tools(recipe.search, backend),
        sampling=sampling_of(recipe.student.sampling),
        limits=limits_of(recipe.student.limits),
        score=TASKS[recipe.task.name].score,
    )


def _slotted(model: ChatModel, slots: int | None) -> ChatModel:
    return model if slots is None else Slotted(model, Slots(slots))


def base_model_dir(base_model: str) -> str:
    """`nano` is the model that ships with the package; anything else is a folder or a hub id."""
    return str(MODEL_DIR) if base_model == NANO else base_model


def named_base(recipe: Recipe) -> dict[str, str | None] | None:
    """The student's base model as a claim knows it. Raises InputError where it is incomplete."""
    from fireact_ray.training.base import base_fingerprint, find_base

    return named(recipe.student.base_model, base_fingerprint(find_base(recipe.student.base_model)))


def student_dir(recipe: Recipe, system: str) -> str:
    """The folder of `base` or `finetuned`. Raises InputError where no model was trained yet."""
    if system == "base":
        return base_model_dir(recipe.student.base_model)
    model = Folder(recipe.run_dir) / "model"
    if not model.exists("fireact.json"):
        raise InputError(f"{model.uri}: no fine-tuned model there. Run `fireact train` first.")
    return str(model.local_path)
