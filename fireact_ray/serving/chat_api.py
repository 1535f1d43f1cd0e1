"""OpenAI's chat protocol for an agent: what a request may say, and what trajectories look like as replies.

The answer alone is `content`; thoughts, actions and observations are `reasoning_content`, so that neither can corrupt
the other. A trajectory without an answer is no silent empty reply: `finish_reason` is "length", and the extension
`fireact` holds the stop reason.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fireact_ray.core.grammar import OBSERVATION, step_text
from fireact_ray.core.types import Step, StopReason, Trajectory, Usage

MAX_QUESTION_CHARS = 8_000


class ChatMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "developer", "user", "assistant"]
    content: str
    name: str | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    include_usage: bool = False


class ChatRequest(BaseModel):
    """Unknown fields are refused: a client must not steer the server (base_url, chat_template, ...)."""

    model_config = ConfigDict(extra="forbid")
    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] = 1
    user: str | None = None
    # Sampling belongs to the agent that was trained and evaluated; these are accepted from clients and change nothing.
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    seed: int | None = None

    @property
    def question(self) -> str | None:
        """The last user message; the agent answers one question at a time."""
        texts = [message.content for message in self.messages if message.role == "user"]
        return texts[-1].strip() if texts else None


class RunRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1, max_length=MAX_QUESTION_CHARS)


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def finish_reason(trajectory: Trajectory) -> str:
    return "stop" if trajectory.stop_reason is StopReason.FINISHED else "length"


def usage_body(usage: Usage) -> dict[str, int]:
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": total,
    }


def reasoning(step: Step) -> str:
    """One step as text, in the grammar."""
    observed = f"\n{OBSERVATION} {step.observation.text}" if step.observation else ""
    return f"{step_text(step)}{observed}\n"


def completion_body(trajectory: Trajectory, model: str) -> dict[str, Any]:
    """A `chat.completion` object."""
    message = {
        "role": "assistant",
        "content": trajectory.answer or "",
        "reasoning_content": "".join(reasoning(step) for step in trajectory.steps),
    }
    return {
        **_head("chat.completion", _new_id(), model),
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(trajectory)}],
        "usage": usage_body(trajectory.usage),
        "fireact": _extension(trajectory),
    }


class ChunkWriter:
    """The `chat.completion.chunk` events of one streamed reply."""

    def __init__(self, model: str, include_usage: bool) -> None:
        self._id, self._model, self._include_usage = _new_id(), model, include_usage

    def step(self, step: Step) -> str:
        return self._chunk({"role": "assistant", "reasoning_content": reasoning(step)})

    def end(self, trajectory: Trajectory) -> str:
        events = self._chunk({"role": "assistant", "content": trajectory.answer or ""})
        events += self._chunk({}, finish_reason(trajectory), fireact=_extension(trajectory))
        if self._include_usage:
            head = _head("chat.completion.chunk", self._id, self._model)
            events += sse({**head, "choices": [], "usage": usage_body(trajectory.usage)})
        return events + "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **extra: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return sse({**_head("chat.completion.chunk", self._id, self._model), "choices": [choice], **extra})


def sse(data: Any, event: str | None = None) -> str:
    """One server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _head(kind: str, identifier: str, model: str) -> dict[str, Any]:
    return {"id": identifier, "object": kind, "created": int(time.time()), "model": model}


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def _extension(trajectory: Trajectory) -> dict[str, Any]:
    return {
        "trajectory_id": trajectory.trajectory_id,
        "stop_reason": str(trajectory.stop_reason),
        "n_steps": len(trajectory.steps),
        "n_searches": trajectory.n_searches,
    }
