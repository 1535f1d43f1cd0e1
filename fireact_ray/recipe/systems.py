"""The `evaluate` section of a recipe: which systems answer the questions, with what faults ordered, under which seeds.

A system is a name (`base`, `finetuned`, `teacher`) or an entry of one of the kinds below. Its name is that of its
folder; what shapes it may not change under one name (see recipe/inputs.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from fireact_ray.agent.models.dialects import check_body, check_headers
from fireact_ray.agent.quota.config import QuotaConfig
from fireact_ray.agent.tools.faults import FaultKind, FaultPlan
from fireact_ray.core.settings import BaseUrl, ModelPlace, Name, Place, Rate, Section, check_name, not_empty
from fireact_ray.recipe.api import checked
from fireact_ray.recipe.models import LimitsConfig, MethodName, RendererName, SamplingConfig, TeacherModelConfig

NORMAL = "normal"  # the condition without ordered faults, in which every system is evaluated


class TeacherSystem(Section):
    """A model of an API, prompted by `method`. `model` null: the teacher's, under its quota and the run's budget.
    Another model has a `quota` of its own. `sampling`, `limits` null: the teacher's."""

    kind: Literal["teacher"]
    name: Name
    method: MethodName = "react"
    model: TeacherModelConfig | None = None
    sampling: SamplingConfig | None = None
    limits: LimitsConfig | None = None
    quota: QuotaConfig | None = None

    @model_validator(mode="after")
    def _a_quota_is_a_model_s(self) -> TeacherSystem:
        if self.quota is not None and self.model is None:
            raise ValueError(
                "quota: this system asks the teacher's model, whose limits are teacher.quota: leave it out"
            )
        return self


class StudentSystem(Section):
    """The recipe's student: `base` is prompted with examples, `finetuned` without, where the method can do without."""

    kind: Literal["base", "finetuned"]
    name: Name
    method: MethodName = "react"


class ModelSystem(Section):
    """A local model. `path`: a run with a trained model, a trained model's folder, or a base model's folder or hub id.
    `few_shot` null: examples for a base model, none for a trained one. `renderer` null: the student's; a trained model
    is only opened with its own. Context, sampling and limits are the student's."""

    kind: Literal["model"]
    name: Name
    path: ModelPlace
    method: MethodName = "react"
    few_shot: bool | None = None
    renderer: RendererName | None = None


class EndpointSystem(Section):
    """A served agent behind an OpenAI-compatible API: one chat call is a whole rollout. It is sent the question and
    nothing else; sampling, tools and limits are its own. `timeout_s`: of a call, to its last byte."""

    kind: Literal["endpoint"]
    name: Name
    base_url: BaseUrl
    model: str
    api_key_env: str | None = None
    api_key_file: Place | None = None
    key_header: str | None = None
    extra_body: Annotated[dict[str, Any] | None, checked(check_body)] = None
    extra_headers: Annotated[dict[str, str] | None, checked(check_headers)] = None
    timeout_s: PositiveFloat = 300.0
    max_attempts: PositiveInt = 5
    quota: QuotaConfig = QuotaConfig()


class RunSystem(Section):
    """Recorded rows: `path` is a run folder, or one of its evaluations/<name>. Of each question its first attempt,
    by `method`; null: by whichever it was, if it was one."""

    kind: Literal["run"]
    name: Name
    path: Place
    method: MethodName | None = None


Entry = TeacherSystem | StudentSystem | ModelSystem | EndpointSystem | RunSystem

_BARE: dict[str, Entry] = {  # names that are whole entries
    "base": StudentSystem(kind="base", name="base"),
    "finetuned": StudentSystem(kind="finetuned", name="finetuned"),
    "teacher": TeacherSystem(kind="teacher", name="teacher"),
}


def _as_entry(given: Any) -> Any:
    if isinstance(given, str):
        return {"kind": check_name("system", _BARE)(given), "name": given}
    if isinstance(given, dict) and given.get("kind") in _BARE and given.get("model") is None:
        return {"name": default_name(given["kind"], given.get("method", "react")), **given}
    return given


def default_name(kind: str, method: object) -> str:
    return kind if method == "react" else f"{kind}-{method}"


def _as_given(entry: Entry, info: SerializationInfo) -> Any:
    """A bare name as ever."""
    return entry.name if entry == _BARE.get(entry.name) else entry.model_dump(mode="json", context=info.context)


SystemConfig = Annotated[
    Annotated[Entry, Field(discriminator="kind")], BeforeValidator(_as_entry), PlainSerializer(_as_given)
]


class Condition(Section):
    """Faults to order in the search: each search is struck with `probability` (see agent/tools/noise.py). The same
    query of the same question meets the same fault in every system."""

    kind: FaultKind
    probability: Rate = 0.5
    seed: int = 0
    latency_s: NonNegativeFloat = 5.0
    name: Name

    def plan(self) -> FaultPlan:
        return FaultPlan(self.kind, self.probability, self.seed, self.latency_s)


def _as_conditions(given: Any) -> Any:
    """Of each kind one condition for each probability. `normal` stands for none."""
    if not isinstance(given, list | tuple):
        return given
    return [condition for one in given if one != NORMAL for condition in _levels(one)]


def _levels(given: Any) -> list[Any]:
    if isinstance(given, str):
        given = {"kind": given}
    if not isinstance(given, dict):
        return [given]
    levels = given.get("probability", 0.5)
    several = levels if isinstance(levels, list | tuple) else [levels]
    return [_named({**given, "probability": level}, len(several) > 1) for level in several]


def _named(given: dict[str, Any], is_one_of_several: bool) -> dict[str, Any]:
    name, level = given.get("name"), given["probability"]
    if name is not None and not is_one_of_several:
        return given
    shown = f"{level:g}" if isinstance(level, int | float) else level
    return {**given, "name": f"{name or given.get('kind')}-{shown}"}


Conditions = Annotated[tuple[Condition, ...], BeforeValidator(_as_conditions)]


def _distinct(found: Iterable[object], what: str, move: str) -> None:
    repeated = sorted(str(one) for one, n in Counter(found).items() if n > 1)
    if repeated:
        raise ValueError(f"{what} more than once: {', '.join(repeated)}. {move}")


class EvaluateConfig(Section):
    """`conditions`: beside the normal one. `seeds`: of the systems that sample (temperature above 0), one evaluation
    each; the others are evaluated once. `judge`: the recipe's teacher is asked, too, whether each answer is right (paid
    calls, in the run folder <name>-judge). `max_retries`: as in generate."""

    split: str = "test"
    n_questions: PositiveInt | None = None
    systems: Annotated[tuple[SystemConfig, ...], AfterValidator(not_empty)] = Field(
        default=("base", "finetuned"), validate_default=True
    )
    conditions: Conditions = ()
    seeds: tuple[int, ...] = ()
    judge: bool = False
    max_retries: NonNegativeInt | None = 3
    workers: PositiveInt = 1
    concurrency: PositiveInt = 64
    use_gpu: bool = False

    @model_validator(mode="after")
    def _names_are_of_one_thing(self) -> EvaluateConfig:
        _distinct((entry.name for entry in self.systems), "systems: named", "Give each a name of its own")
        _distinct((one.name for one in self.conditions), "conditions: named", "Give each a name of its own")
        _distinct(self.seeds, "seeds: found", "Each is evaluated once")
        for entry in self.systems:
            if entry.name in _BARE and entry != _BARE[entry.name]:
                raise ValueError(f"systems: '{entry.name}' means {entry.name} by ReAct: give this entry another name")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run without conditions, seeds and a judge is stored as ever."""
        shown: dict[str, Any] = handler(self)
        return {key: value for key, value in shown.items() if key not in ("conditions", "seeds", "judge") or value}
