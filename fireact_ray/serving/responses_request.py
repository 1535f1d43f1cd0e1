"""POST /v1/responses: what a request may say."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from fireact_ray.serving.conversation import Said
from fireact_ray.serving.errors import ApiError
from fireact_ray.serving.message_text import SPEAKERS, text_of
from fireact_ray.serving.request_fields import (
    Count,
    Labels,
    NTop,
    Penalty,
    Share,
    Temperature,
    ignored_of,
    refuse,
    refuse_calls,
)
from fireact_ray.serving.wishes import Wishes, wishes_of

# What a model said to itself, and what it asked of tools, its provider's or its client's: all that is named "..._call".
_SKIPPED = {"reasoning", "mcp_list_tools", "mcp_approval_request"}
_CALL, _CALL_OUTPUT = "_call", "_call_output"
_INCLUDED = {"file_search_call.results", "reasoning.encrypted_content"}  # is there anyway; is never there, nor missed


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    include_obfuscation: StrictBool | None = None


class ResponsesRequest(Labels):
    """`input`: a question, or a conversation of items, ours among them as they came back from here."""

    model: str
    input: str | list[dict[str, Any]] = Field(min_length=1, max_length=1_000_000)
    instructions: str | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: Count | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    include: list[str] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    max_tool_calls: Count | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    store: StrictBool | None = None
    background: StrictBool | None = None
    service_tier: str | None = None
    top_logprobs: NTop | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    context_management: list[dict[str, Any]] | None = None

    def said(self) -> list[Said]:
        told = [Said("Instructions", self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*told, Said("User", self.input)]
        return told + [said for i, item in enumerate(self.input) if (said := _said(item, f"input.{i}")) is not None]

    def wishes(self) -> Wishes:
        return wishes_of(self.fireact, self.max_output_tokens, self.temperature)

    def ignored(self) -> dict[str, str]:
        """Raises ApiError (400) for what an agent cannot do."""
        refuse(self.model_dump(include=_REFUSED))
        refuse_calls(self.tool_choice)
        format_of = (self.text or {}).get("format") or {"type": "text"}
        if format_of != {"type": "text"}:
            refuse({"text": format_of})
        reasoning = {name: value for name, value in (self.reasoning or {}).items() if value is not None}
        others = [what for what in self.include or () if what not in _INCLUDED]
        told = {"reasoning": reasoning, "include": others, "verbosity": (self.text or {}).get("verbosity")}
        return ignored_of({**self.model_dump(include=_IGNORED), **told})


_REFUSED = {"top_logprobs", "previous_response_id", "conversation", "prompt", "background", "moderation"}
_IGNORED = {
    "presence_penalty", "frequency_penalty", "top_p", "service_tier", "store", "tools", "max_tool_calls",
    "context_management",
}  # fmt: skip


def _said(item: dict[str, Any], param: str) -> Said | None:
    """None for an item that is no part of what was said. Raises ApiError (400) for one that is not read."""
    match item:
        case {"role": str(role), "content": str() | list() | None as content} if (
            role in SPEAKERS and item.get("type", "message") == "message"
        ):
            return Said(SPEAKERS[role], text_of(content, f"{param}.content"))
        case {"type": str(kind)} if kind.endswith(_CALL_OUTPUT) and isinstance(item.get("output"), str | list | None):
            return Said("Tool", text_of(item.get("output"), f"{param}.output"))
        case {"type": str(kind)} if kind in _SKIPPED or kind.endswith(_CALL):
            return None
        case {"type": "item_reference"}:
            message = "Nothing is stored for clients: send the item itself, as SDKs do where `store` is false."
            raise ApiError(400, message, param=param, code="unsupported_parameter")
        case {"type": str(kind)}:
            raise ApiError(400, f"An item of type '{kind[:40]}' is not read here.", param=param)
        case _:
            raise ApiError(400, "An item is a message with role and content, or has a known type.", param=param)
