"""A run as OpenAI's chat completion, whole or in chunks.

The answer alone is `content`; thoughts, actions and observations are `reasoning_content`, so that neither can corrupt
the other. A run without an answer is no silent empty reply: `finish_reason` is "length", and `fireact` holds the stop
reason.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from fireact_ray.core.grammar import OBSERVATION, step_text
from fireact_ray.core.types import Step, StopReason
from fireact_ray.serving.runs import Ended
from fireact_ray.serving.sse import event
from fireact_ray.serving.usage import chat_usage, extension


def reasoning(step: Step) -> str:
    """One step as text, in the grammar."""
    observed = f"\n{OBSERVATION} {step.observation.text}" if step.observation else ""
    return f"{step_text(step)}{observed}\n"


def completion_body(ended: Ended, model: str, fireact: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A `chat.completion` object. `fireact`: its extension, where it says more than how the run ended."""
    trajectory = ended.trajectory
    message: dict[str, Any] = {
        "role": "assistant",
        "content": trajectory.answer or "",
        "refusal": None,
        "annotations": [],
        "reasoning_content": "".join(reasoning(step) for step in trajectory.steps),
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(ended)}
    return {
        **_head("chat.completion", new_id(), model),
        "choices": [choice],
        "usage": chat_usage(ended),
        "fireact": dict(fireact or extension(ended)),
    }


class ChunkWriter:
    """The `chat.completion.chunk` events of one streamed reply: the role once, then steps, answer, reason, usage."""

    def __init__(self, model: str, include_usage: bool) -> None:
        self._head = _head("chat.completion.chunk", new_id(), model)
        self._include_usage = include_usage

    def start(self) -> str:
        return self._chunk({"role": "assistant", "content": ""})

    def step(self, step: Step) -> str:
        return self._chunk({"reasoning_content": reasoning(step)})

    def end(self, ended: Ended, fireact: Mapping[str, Any]) -> str:
        answer = self._chunk({"content": ended.trajectory.answer}) if ended.trajectory.answer else ""
        last = self._chunk({}, _finish_reason(ended), fireact=dict(fireact))
        usage = event({**self._head, "choices": [], "usage": chat_usage(ended)}) if self._include_usage else ""
        return f"{answer}{last}{usage}"

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **extra: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._include_usage else {}  # as OpenAI does, so that clients look at the last one
        return event({**self._head, "choices": [choice], **usage, **extra})


def new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def _finish_reason(ended: Ended) -> str:
    return "stop" if ended.trajectory.stop_reason is StopReason.FINISHED else "length"


def _head(kind: str, identifier: str, model: str) -> dict[str, Any]:
    return {"id": identifier, "object": kind, "created": int(time.time()), "model": model, "system_fingerprint": None}
