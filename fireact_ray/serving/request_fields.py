"""Fields that clients send of their own accord: which ask for nothing, which are ignored by name, which are refused.

SDKs, LangChain and chat interfaces fill in many fields that change nothing (null, an empty list, the default). They are
accepted. A wish that only shapes the wording is ignored, and the reply says so. One whose result a client would then
read (several choices, JSON, log probabilities, a call of its own functions) is refused, as is a field that is not
known: it would steer something (a URL, a template), or be a slip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from fireact_ray.agent.tools.faults import FaultKind, FaultPlan
from fireact_ray.serving.errors import ApiError


def _a_number(value: Any) -> Any:
    """Raises PydanticCustomError for a text or a truth, which would pass for one."""
    if isinstance(value, str | bool):
        raise PydanticCustomError("number", "a number is wanted, not a text and not true or false")
    return value


number = BeforeValidator(_a_number)
Count = Annotated[int, Field(ge=1, lt=2**63), number]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False), number]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63), number]
Share = Annotated[float, Field(ge=0, le=1), number]
NTop = Annotated[int, Field(ge=0, le=20), number]
Penalty = Annotated[float, Field(ge=-2, le=2), number]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), number]


class Faults(BaseModel):
    """Faults to order in this question's searches: how robust is the agent?"""

    model_config = ConfigDict(extra="forbid")
    kind: FaultKind
    probability: Share = 0.5
    seed: Seed = 0
    latency_s: Annotated[float, Field(ge=0, le=60), number] = 5.0

    def plan(self) -> FaultPlan:
        return FaultPlan(self.kind, self.probability, self.seed, self.latency_s)


class FireactOptions(BaseModel):
    """Our own part of a request, `fireact`. Limits only ever narrow what the server allows."""

    model_config = ConfigDict(extra="forbid")
    trajectory: StrictBool = False
    max_steps: Count | None = None
    max_seconds: Positive | None = None
    max_cost_usd: Positive | None = None
    faults: Faults | None = None


class Labels(BaseModel):
    """Fields of both protocols that name something and change nothing; and whatever is null asks for nothing, also
    where it is not known here: a client that is newer than we are may send all the fields of its schema."""

    model_config = ConfigDict(extra="forbid")
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: StrictBool | None = None
    fireact: FireactOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_unknown_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None or name in cls.model_fields}


def wishes_for_nothing(field: str, value: Any) -> bool:
    """Whether a value is what the field is where it is left out."""
    return value is None or value == [] or value == {} or value in _DEFAULTS.get(field, ())


def ignored_of(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: _IGNORED[name] for name, value in fields.items() if not wishes_for_nothing(name, value)}


def refuse(fields: Mapping[str, Any]) -> None:
    """Raises ApiError (400) for the first field that asks for what an agent does not do."""
    for name, value in fields.items():
        if not wishes_for_nothing(name, value):
            raise ApiError(400, _REFUSED[name], param=name, code="unsupported_parameter")


def refuse_calls(tool_choice: Any, param: str = "tool_choice") -> None:
    """Raises ApiError (400) where a client's own function must be called. One that may be is never called."""
    match tool_choice:
        case None | "auto" | "none" | {"type": "auto" | "none"}:
            return
        case {"type": "allowed_tools", "mode": "auto"} | {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}:
            return
    message = "This model is an agent with tools of its own; it never calls functions of its clients."
    raise ApiError(400, message, param=param, code="unsupported_parameter")


_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "top_p": (1,),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "truncation": ("disabled", "auto"),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "n": (1,),
    "modalities": (["text"],),
    "background": (False,),
    "response_format": ({"type": "text"},),
    "verbosity": ("medium",),
}
_OWN_TOOLS = "the agent has tools of its own; it never calls functions of its clients"
_OWN_WAY = "the agent replies as it was trained and evaluated"
_IGNORED = {
    "stop": "an answer is one line, and none of it is cut",
    "frequency_penalty": _OWN_WAY,
    "presence_penalty": _OWN_WAY,
    "top_p": _OWN_WAY,
    "reasoning_effort": _OWN_WAY,
    "reasoning": _OWN_WAY,
    "verbosity": _OWN_WAY,
    "prediction": _OWN_WAY,
    "web_search_options": "the agent searches what it was given to search",
    "service_tier": "there is one tier",
    "store": "nothing is stored for clients",
    "include": "a reply holds its searches with what they found, and nothing else that can be included",
    "tools": _OWN_TOOLS,
    "functions": _OWN_TOOLS,
    "max_tool_calls": "fireact.max_steps bounds what the agent does",
    "context_management": "nothing is compacted: the oldest turns that do not fit are left out, and named",
}
_REFUSED = {
    "n": "One question has one answer: n must be 1.",
    "logprobs": "There are no log probabilities of an agent's answer.",
    "top_logprobs": "There are no log probabilities of an agent's answer.",
    "logit_bias": "An agent's tokens cannot be biased.",
    "response_format": "The answer is plain text; it is brought into no other format.",
    "text": "The answer is plain text; it is brought into no other format.",
    "modalities": "The answer is text.",
    "audio": "The answer is text.",
    "previous_response_id": "Nothing is stored for clients: send what was said before as `input`.",
    "conversation": "Nothing is stored for clients: send what was said before as `input`.",
    "prompt": "There are no stored prompts: send the text as `input`.",
    "moderation": "Nothing is moderated here.",
    "background": "Nothing runs behind a client's back: ask with `stream`, or wait for the answer.",
}

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
