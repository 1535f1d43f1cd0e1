"""How a recipe says where an OpenAI-compatible API is, how it is asked, and where its key stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, PositiveFloat, PositiveInt, StringConstraints, model_validator

from fireact_ray.agent.models.dialects import (
    check_address,
    check_body,
    check_headers,
    check_query,
    dialects,
    with_dialect,
)
from fireact_ray.core.settings import BaseUrl, Place, Section, one_of

DialectName = Annotated[str, one_of("dialect", dialects())]
OptionalParameter = Literal["temperature", "stop", "seed", "max_tokens"]


def checked(check: Callable[[Any], None]) -> AfterValidator:
    """Of a value that is not null."""

    def check_given(value: Any) -> Any:
        if value is not None:
            check(value)
        return value

    return AfterValidator(check_given)


class ApiConfig(Section):
    """Any OpenAI-compatible API. The key is read from `api_key_env`, or from `api_key_file` where that is given.

    `dialect`: a preset by name (agent/models/dialects.yaml, `openai-reasoning`, `azure` ...) of the settings below;
    what is said here wins. `key_header`: the header in which the key goes as it is; null: `Authorization: Bearer`.

    `leave_out`: parameters that this model refuses; they are not sent. Without `stop`, replies are cut here; without
    `max_tokens`, the limit goes as `max_completion_tokens`. `system`: fold puts the system turn at the head of the
    user's first. `extra_body`, `extra_headers`, `extra_query`: sent with every call; a header's or query's secret is
    named as `env:NAME` or `Bearer env:NAME`.
    """

    name: str
    dialect: DialectName | None = None
    base_url: BaseUrl | None = None
    api_key_env: str | None = "OPENAI_API_KEY"
    api_key_file: Place | None = None
    key_header: str | None = None
    leave_out: tuple[OptionalParameter, ...] | None = None
    system: Literal["keep", "fold"] | None = None
    reasoning_effort: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")] | None = None
    extra_body: Annotated[dict[str, Any] | None, checked(check_body)] = None
    extra_headers: Annotated[dict[str, str] | None, checked(check_headers)] = None
    extra_query: Annotated[dict[str, str] | None, checked(check_query)] = None
    timeout_s: PositiveFloat = 120.0
    max_attempts: PositiveInt = 5

    @model_validator(mode="before")
    @classmethod
    def _of_its_dialect(cls, settings: Any) -> Any:
        return with_dialect(settings) if isinstance(settings, dict) else settings

    @model_validator(mode="after")
    def _address_and_key_have_one_place(self) -> Self:
        check_address(self.dialect, self.base_url)
        own = (self.key_header or "Authorization").lower()
        has_key = self.api_key_env is not None or self.api_key_file is not None
        if has_key and own in {name.lower() for name in self.extra_headers or ()}:
            raise ValueError(
                f"extra_headers holds '{own}', in which the key of api_key_env or api_key_file goes: set api_key_env "
                "to null, or leave the header out"
            )
        return self
