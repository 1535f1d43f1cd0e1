"""What the reply of an OpenAI-compatible server means: a Completion, or which failure. Nothing is ever guessed.

Providers spell things in their own ways and also say OK when they failed; an error names the model, the status and what
kind of failure it is, never the provider's text, which may repeat a key.
"""

from __future__ import annotations

import time
from typing import Any

from fireact_ray.errors import (
    MalformedReply,
    ModelDenied,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ModelUnknown,
    RateLimited,
    ReplyWithheld,
    TokenLimit,
)
from fireact_ray.http_session import MAX_REPLY_BYTES, HttpReply, read_json
from fireact_ray.models.base import Completion
from fireact_ray.quota.notice import read_retry_after_s
from fireact_ray.types import Usage

# `finish_reason` in lower case, up to a colon. A word that stands in none of these is a reply that came to its own end.
_CUT = {"length", "max_tokens", "model_length", "model_context_window_exceeded"}
_FILTERED = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive"}
_BROKEN_OFF = {"error", "abort", "network_error", "insufficient_system_resource"}

# `code` or `type` of an error: few enough that an error of ours may repeat them.
_ACCOUNT = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "account_deactivated"}
_TOO_LONG = {"context_length_exceeded", "exceed_context_size_error"}

_MOST_TOKENS = 2**31  # of one reply: a larger count is a mistake


def read_completion(body: bytes | None, model: str) -> Completion:
    """From the body of a reply that says OK. Raises MalformedReply, or ReplyWithheld.

    A count of tokens that is missing or none leaves the usage unknown, `Usage()`.
    """
    if body is None:
        raise MalformedReply(f"{model}: the reply is longer than {MAX_REPLY_BYTES:,} bytes")
    match read_json(body):
        case {"choices": [{"message": dict(message)} as choice, *_]} as reply:
            text, finish_reason = _read_text(message, choice.get("finish_reason"), model)
            return Completion(text, finish_reason, _read_usage(reply.get("usage")))
        case dict():
            raise MalformedReply(f"{model}: the reply holds no choice with a message")
        case _:
            raise MalformedReply(f"{model}: the reply is no JSON object")


def failure(reply: HttpReply, model: str, host: str) -> ModelError:
    """What any other status means for the row and for the run."""
    status, words = reply.status, _error_words(reply.body)
    what = f"{model}: HTTP {status}"
    if status in (401, 402, 403) or words & _ACCOUNT:
        return ModelDenied(" ".join([what, *sorted(words & _ACCOUNT)]))
    if status == 429:
        return RateLimited(what, read_retry_after_s(reply.headers, time.time()))
    if status == 404:
        return ModelUnknown(f"Model '{model}': not found at {host} (HTTP 404)")
    if status < 400:
        return ModelUnknown(f"Model '{model}': {host} sends callers to another address (HTTP {status})")
    if status in (408, 409, 425) or status >= 500:
        return ModelUnavailable(what)
    if words & _TOO_LONG:
        return TokenLimit(f"{what}: the prompt does not fit into the model's context")
    return ModelRefused(what)


def _read_text(message: dict[str, Any], finish_reason: Any, model: str) -> tuple[str, str]:
    """The text, and "stop" or "length"."""
    content = message.get("content")
    if not isinstance(finish_reason, str | None):
        raise MalformedReply(f"{model}: the reply's finish_reason is no word")
    reason = (finish_reason or "stop").partition(":")[0].lower()
    if reason in _FILTERED:
        raise ReplyWithheld(f"{model}: the provider's content filter withheld the reply")
    if reason in _BROKEN_OFF:
        raise MalformedReply(f"{model}: the reply broke off")
    if content is None and message.get("refusal"):
        raise ReplyWithheld(f"{model}: the model declined to reply")
    if content is None and reason in _CUT:  # all of it went into hidden reasoning
        content = ""
    if not isinstance(content, str) or not _is_unicode(content):
        raise MalformedReply(f"{model}: the reply's content is not text")
    return content, "length" if reason in _CUT else "stop"


def _is_unicode(text: str) -> bool:
    """False for half a character, which JSON can spell and no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_usage(usage: Any) -> Usage:
    match usage:
        case {"prompt_tokens": prompt, "completion_tokens": completion} if _counts(prompt) and _counts(completion):
            return Usage(prompt, completion)
        case _:
            return Usage()


def _counts(number: Any) -> bool:
    return type(number) is int and 0 <= number < _MOST_TOKENS


def _error_words(body: bytes | None) -> set[str]:
    match read_json(body):
        case {"error": dict(error)}:
            return {word for word in (error.get("code"), error.get("type")) if isinstance(word, str)}
        case _:
            return set()
