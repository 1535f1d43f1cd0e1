"""POST /v1/chat/completions: what a request may say."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from fireact_ray.serving.conversation import Said
from fireact_ray.serving.message_text import SPEAKERS, text_of
from fireact_ray.serving.request_fields import (
    Count,
    Labels,
    NTop,
    Penalty,
    Role,
    Seed,
    Share,
    Temperature,
    ignored_of,
    refuse,
    refuse_calls,
)
from fireact_ray.serving.wishes import Wishes, wishes_of


class ChatMessage(BaseModel):
    """A turn as any client keeps it, ours as it came back from here. Fields beside its text (`reasoning_content`,
    `refusal`, `tool_calls`, `annotations`, ...) are its history of itself, and are not read."""

    model_config = ConfigDict(extra="ignore")
    role: Role
    content: str | list[Any] | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    include_usage: StrictBool | None = None
    include_obfuscation: StrictBool | None = None


class ChatRequest(Labels):
    """Unknown fields are refused: a client must not steer the server (base_url, chat_template, ...)."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Temperature | None = None
    seed: Seed | None = None
    top_p: Share | None = None
    n: Count | None = None
    stop: str | list[str] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: NTop | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    store: StrictBool | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None

    def said(self) -> list[Said]:
        return [
            Said(SPEAKERS[message.role], text_of(message.content, f"messages.{i}.content"))
            for i, message in enumerate(self.messages)
        ]

    def wishes(self) -> Wishes:
        most = [n for n in (self.max_completion_tokens, self.max_tokens) if n is not None]
        return wishes_of(self.fireact, min(most, default=None), self.temperature, self.seed)

    def ignored(self) -> dict[str, str]:
        """Raises ApiError (400) for what an agent cannot do."""
        refuse(self.model_dump(include=_REFUSED))
        refuse_calls(self.tool_choice)
        refuse_calls(self.function_call, "function_call")
        return ignored_of(self.model_dump(include=_IGNORED))


_REFUSED = {"n", "logprobs", "top_logprobs", "logit_bias", "response_format", "modalities", "audio", "moderation"}
_IGNORED = {
    "stop", "frequency_penalty", "presence_penalty", "top_p", "reasoning_effort", "verbosity", "prediction",
    "web_search_options", "service_tier", "store", "tools", "functions",
}  # fmt: skip
