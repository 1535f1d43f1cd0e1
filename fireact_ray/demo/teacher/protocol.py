"""The part of OpenAI's chat completions API that the teacher speaks: request bodies in, reply bodies out.

Tokens are counted as runs of word characters and single other characters; white space is free.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fireact_ray.core.hashing import content_hash
from fireact_ray.demo.teacher.conversation import Message

MODEL_NAME = "scripted-teacher"

_TOKEN = re.compile(r"\w+|[^\w\s]")
_CHUNK = re.compile(r"\s*\S+|\s+$")


class BadRequest(Exception):
    """A request that OpenAI would answer with 400; the message says what is wrong with which parameter."""


class _MessageBody(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str


class _StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """One request. Parameters that would change nothing here are accepted and ignored, as by most servers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    messages: list[_MessageBody] = Field(min_length=1)
    temperature: float = Field(1.0, ge=0, le=2)
    seed: int | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    n: Literal[1] = 1
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()

    @classmethod
    def from_body(cls, body: bytes) -> ChatRequest:
        """Raises BadRequest."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "body"
            raise BadRequest(f"{where}: {first['msg']}") from None

    @property
    def conversation(self) -> list[Message]:
        return [Message(message.role, message.content) for message in self.messages]

    @property
    def sampling(self) -> str:
        return f"{self.temperature} {self.seed}"

    @functools.cached_property
    def hash(self) -> str:
        """Names the request; whether it is streamed makes no difference."""
        return content_hash(self.model_dump(exclude={"stream", "stream_options"}))

    @property
    def n_prompt_tokens(self) -> int:
        return sum(count_tokens(message.content) for message in self.messages)

    def finish(self, text: str) -> Reply:
        """Apply `stop` and the token limit to what the teacher would say, in this order."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        ends = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
        text = text[: min(ends, default=len(text))]
        limit = self.max_completion_tokens or self.max_tokens
        tokens = list(_TOKEN.finditer(text))
        if limit is not None and len(tokens) > limit:
            return Reply(text=text[: tokens[limit - 1].end()], finish_reason="length", request=self)
        return Reply(text=text, finish_reason="stop", request=self)


class Reply(BaseModel):
    """What goes back for a request, whole or in chunks. No clock is in it: its id is the request's hash."""

    text: str
    finish_reason: Literal["stop", "length"]
    request: ChatRequest

    @property
    def usage(self) -> dict[str, int]:
        prompt, completion = self.request.n_prompt_tokens, count_tokens(self.text)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def whole(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.text}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage}

    def events(self) -> Iterator[str]:
        """Server-sent events: a chunk per word, the finish reason, the usage if asked for, [DONE]."""
        head = self._head("chat.completion.chunk")
        yield _event({**head, "choices": [_delta({"role": "assistant", "content": ""})]})
        for chunk in _CHUNK.findall(self.text):
            yield _event({**head, "choices": [_delta({"content": chunk})]})
        yield _event({**head, "choices": [_delta({}, self.finish_reason)]})
        if self.request.stream_options.include_usage:
            yield _event({**head, "choices": [], "usage": self.usage})
        yield "data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.request.hash}",
            "object": kind,
            "created": 0,
            "model": self.request.model,
        }


def count_tokens(text: str) -> int:
    return len(_TOKEN.findall(text))


def error_body(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _delta(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
