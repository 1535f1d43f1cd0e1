"""The `serve` section of a recipe: which agents answer, at what address, within which bounds, by how many replicas."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from fireact_ray.core.settings import Place, Section, not_empty
from fireact_ray.recipe.engines import EngineKind, VllmConfig
from fireact_ray.recipe.models import ScriptedModelConfig
from fireact_ray.recipe.systems import EndpointSystem, RunSystem, SystemConfig, TeacherSystem

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
PROXY_GRACE_S = 10.0  # by which Serve's proxy is more patient than the agents behind it


class PartConfig(Section):
    """How many replicas a part of the server has: `min_replicas`, and up to `max_replicas` where one of them has more
    than `target_ongoing_requests` at work (questions of an agent, conversations of an engine, searches).

    null: `serve.replicas`, of the search `search.actors`; no more than the least. `max_replicas_per_node`: 1 keeps two
    of them off one machine, and leaves one pending where there are fewer machines. `upscale_delay_s`,
    `downscale_delay_s`: for how long there must be more, or less, to do before the number changes; null: as Serve has
    it, 30 and 600 s.
    """

    min_replicas: PositiveInt | None = None
    max_replicas: PositiveInt | None = None
    target_ongoing_requests: PositiveFloat = 16.0
    max_replicas_per_node: Annotated[int, Field(ge=1, le=100)] | None = None
    upscale_delay_s: NonNegativeFloat | None = None
    downscale_delay_s: NonNegativeFloat | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> PartConfig:
        if self.min_replicas is not None and self.max_replicas is not None and self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas ({self.min_replicas}) may be at most max_replicas ({self.max_replicas})")
        return self

    @model_serializer(mode="wrap")
    def _without_delays_that_are_serve_s(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run that names none is stored as ever."""
        shown: dict[str, Any] = handler(self)
        return {name: value for name, value in shown.items() if not (name.endswith("_delay_s") and value is None)}


class EngineConfig(PartConfig):
    """Replicas, and what answers in them; `serve.engine: vllm` says the kind alone. `vllm`: settings of that kind.

    `share_base`: adapters of one base are attached to one copy of its weights, each to its own rows: less memory, but
    slower than adapters that are merged into copies of their own. vLLM always does.
    """

    kind: EngineKind = "torch"
    share_base: bool = False
    vllm: VllmConfig = VllmConfig()

    @property
    def shares_base(self) -> bool:
        return self.share_base or self.kind == "vllm"

    @model_validator(mode="before")
    @classmethod
    def _by_its_kind(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _settings_of_its_kind(self) -> EngineConfig:
        if self.kind != "vllm" and self.vllm != VllmConfig():
            raise ValueError("vllm: settings of an engine of kind vllm: set kind: vllm, or leave them out")
        return self


class QuestionLimits(Section):
    """Of one question, beside the agent's own limits. `max_tokens`: that the model writes for it, over all its steps.
    `max_chars`: of the question with its history. null: no limit but the agent's."""

    max_steps: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    max_cost_usd: PositiveFloat | None = None
    max_chars: PositiveInt = 8_000


class KeyLimits(Section):
    """Of one key, at each agent replica; without keys all callers are one. null: none."""

    requests_per_minute: PositiveFloat | None = None
    concurrency: PositiveInt | None = None


class ServeConfig(Section):
    """Clients send a key as a bearer token: that of the variable `api_key_env`, or one of `keys_file`, which holds
    names and hashes. Only loopback may be served without one.

    `systems`: as in evaluate; each is a model id. `max_ongoing_requests`: questions at work in one agent replica;
    `max_queued_requests`: how many more wait in it before the next is told 429; null: as many. `request_timeout_s`: of
    a question, from its arrival to its answer; the student's own limit may be shorter. `allowed_hosts`: of the Host
    header; empty: any, on loopback its names. `allowed_origins`: of pages elsewhere that may call. `faults`: whether
    clients may order faults in their searches. `history`: whether earlier turns reach the agent. `mcp`: whether /mcp is
    served, which needs the extra `mcp`. `keep_traces`: what people ask and what the agent did is kept in the
    run's folder (served/), for `convert`.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    api_key_env: str | None = None
    replicas: PositiveInt = 1
    max_ongoing_requests: PositiveInt = 32
    request_timeout_s: PositiveFloat = 120.0
    use_gpu: bool = False
    systems: Annotated[tuple[SystemConfig, ...], AfterValidator(not_empty)] = Field(
        default=("finetuned",), validate_default=True
    )
    agent: PartConfig = PartConfig()
    engine: EngineConfig = EngineConfig()
    search: PartConfig = PartConfig()
    max_queued_requests: PositiveInt | None = None
    keys_file: Place | None = None
    per_question: QuestionLimits = QuestionLimits()
    per_key: KeyLimits = KeyLimits()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    faults: bool = False
    history: bool = True
    mcp: bool = False
    keep_traces: bool = False

    @property
    def proxy_timeout_s(self) -> float:
        """When Serve's proxy gives up. A question ends before, by a word of its own."""
        return self.request_timeout_s + PROXY_GRACE_S

    @property
    def asks_for_keys(self) -> bool:
        return self.api_key_env is not None or self.keys_file is not None

    @property
    def is_for_this_machine(self) -> bool:
        """Nobody is asked for a key, nor is it said by which names others reach it, as by a proxy that asks for one."""
        return not (self.asks_for_keys or self.allowed_hosts)

    @property
    def max_queued(self) -> int:
        return self.max_queued_requests or self.max_ongoing_requests

    @model_validator(mode="after")
    def _open_network_needs_a_key(self) -> ServeConfig:
        if self.host not in LOOPBACK_HOSTS and not self.asks_for_keys:
            raise ValueError(
                f"host '{self.host}' is reachable by others: set serve.api_key_env or serve.keys_file, or host "
                "127.0.0.1"
            )
        if self.api_key_env is not None and self.keys_file is not None:
            raise ValueError("set api_key_env (one key) or keys_file (several, by name)")
        return self

    @model_validator(mode="after")
    def _agents_that_can_be_served(self) -> ServeConfig:
        names = [entry.name for entry in self.systems]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"systems: named more than once: {', '.join(repeated)}. Give each a name of its own")
        for entry in self.systems:
            if isinstance(entry, EndpointSystem | RunSystem):
                raise ValueError(
                    f"systems: '{entry.name}' is of kind {entry.kind}, which has no agent of ours to serve"
                )
            if isinstance(entry, TeacherSystem) and isinstance(entry.model, ScriptedModelConfig):
                raise ValueError(f"systems: '{entry.name}' is a scripted teacher, which no server can outlive")
        return self

    @model_validator(mode="after")
    def _gpus_that_are_used(self) -> ServeConfig:
        if self.engine.vllm.tensor_parallel_size > 1 and not self.use_gpu:
            raise ValueError("engine.vllm.tensor_parallel_size: counts GPUs: set use_gpu: true, or leave it out")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run that names none of the newer settings is stored as ever."""
        shown: dict[str, Any] = handler(self)
        newer = list(shown)[list(shown).index("systems") :]
        unused = {name for name in newer if getattr(self, name) == getattr(_PLAIN, name)}
        if not self.engine.shares_base:
            shown["engine"] = {name: value for name, value in shown["engine"].items() if name not in _OF_ENGINES}
        return {name: value for name, value in shown.items() if name not in unused}


_PLAIN = ServeConfig()
_OF_ENGINES = ("kind", "share_base", "vllm")  # what an engine has beside replicas
