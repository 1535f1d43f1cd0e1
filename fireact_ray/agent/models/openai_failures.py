"""What a status and the words beside it mean for a row and for the run: which ModelError.

It repeats the provider's own words, as far as they are safe (core/net/provider_errors.py), and names the line of the
recipe that sets a parameter which was refused.
"""

from __future__ import annotations

import re
import time

from fireact_ray.agent.quota.rate_headers import read_duration_s, read_retry_after_s, read_wait_s
from fireact_ray.core.errors import (
    MalformedReply,
    ModelDenied,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ModelUnknown,
    PromptFlagged,
    RateLimited,
    TokenLimit,
)
from fireact_ray.core.net.http import HttpReply
from fireact_ray.core.net.provider_errors import ProviderWords

# `code`, `type` or another reason of an error, in lower case.
_ACCOUNT = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "account_deactivated"}
_BAD_KEY = {"invalid_api_key", "api_key_invalid", "authentication_error", "incorrect_api_key"}
_TOO_LONG = {"context_length_exceeded", "exceed_context_size_error"}
_NO_MODEL = {"model_not_found", "model_not_exist"}
_TOO_FAST = {"rate_limit_exceeded", "rate_limit_error", "too_many_requests"}
_FLAGGED = {
    *("content_filter", "responsibleaipolicyviolation", "content_policy_violation", "moderation_blocked"),
    *("data_inspection_failed", "safety", "prohibited_content", "blocklist", "invalid_prompt"),
}

# Where a provider has no code for it, the text says so.
_FLAGGED_TEXT = re.compile(
    r"input was flagged|prompt was flagged|flagged by (?:the )?moderation|content violates usage guidelines|"
    r"content exists risk|content management policy|content safety polic|prohibited_content",
    re.IGNORECASE,
)
_BILLING_TEXT = re.compile(r"\bbilling\b|credit balance|insufficient (?:credits|balance|funds)", re.IGNORECASE)
_TOO_LONG_TEXT = re.compile(
    r"maximum (?:allowed )?context length|context length exceeded|exceeds the context length|exceeds? context limit|"
    r"(?:exceeds?|longer than) the (?:available |model'?s )?context|longer than the maximum model length|"
    r"(?:prompt|input) (?:\(\d+ tokens\) )?is too long|exceeds the maximum number of tokens|too many tokens: |"
    r"too large for model with \d+ maximum context|`inputs` tokens \+ `max_new_tokens` must be|"
    r"`inputs` must have less than|"
    r"request too large for",  # with a 429: more than a whole minute's tokens, so that no waiting helps
    re.IGNORECASE,
)
# Of vLLM: what is asked for and the prompt do not fit together, or what is asked for fits with no prompt at all.
_DOES_NOT_FIT = re.compile(r"\((\d+) ?> ?(\d+) ?- ?\d+\)")
_TOO_LARGE_LIMIT = re.compile(r"max_(?:completion_)?tokens\W+(?:\S+\W+){0,3}is too large|too large.{0,30}max_tokens")

_RECIPE_LINES = {
    "temperature": "teacher.sampling.temperature",
    "max_tokens": "teacher.sampling.max_new_tokens",
    "max_completion_tokens": "teacher.sampling.max_new_tokens",
    "seed": "teacher.sampling.seed",
    "model": "teacher.model.name",
    "reasoning_effort": "teacher.model.reasoning_effort",
}
_OPTIONAL = {"temperature", "stop", "seed"}  # and max_tokens, where the provider names what it wants instead
_NAMED_PARAMETER = re.compile(
    r"\b(temperature|max_tokens|max_completion_tokens|seed|reasoning_effort|stop(?=['\"`:]))(?!\w)"
)
_NO_SYSTEM = re.compile(
    r"roles must alternate|system role not supported|developer instruction is not enabled|does not support 'system'|"
    r"system (?:messages?|role|prompts?) (?:is|are) not (?:supported|allowed)|no system role|"
    r"(?:not|n't) support (?:the )?system (?:messages?|role|prompts?)",
    re.IGNORECASE,
)
_OF_REASONING_MODELS = {"temperature", "stop", "max_tokens"}


def failure_of(words: ProviderWords, reply: HttpReply, status: int | None, model: str, host: str) -> ModelError:
    """`status` is None where none is said at all."""
    what, cause = f"{model}: {words.line(status)}", words.cause(status)
    if status not in (401, 402, 407, 429) and (status or 400) < 500 and _is_flagged(words):
        return PromptFlagged(what, cause=cause)
    if status in (401, 402, 403, 407) or words.reasons & (_ACCOUNT | _BAD_KEY):
        return ModelDenied(what, cause=cause)
    retry_after_s = _asked_wait_s(words, reply)
    if status in (None, 400, 429) and retry_after_s is None and _BILLING_TEXT.search(words.message):
        return ModelDenied(what, cause=cause)
    if (status is None or 400 <= status < 500) and _is_too_long(words):
        what = f"{model}: the prompt does not fit into the model's context ({words.line(status)})"
        return TokenLimit(what, cause=cause)
    if status == 429 or (status is None and words.reasons & _TOO_FAST):
        return RateLimited(what, retry_after_s, cause=cause)
    if status == 404 or words.reasons & _NO_MODEL:
        return ModelUnknown(f"Model '{model}': not found at {host} ({words.line(status)})", cause=cause)
    if status is None:
        return MalformedReply(what, cause=cause)
    if status < 400:
        return ModelUnknown(f"Model '{model}': {host} sends callers to another address (HTTP {status})", cause=cause)
    if status in (408, 409, 425) or status >= 500:
        return ModelUnavailable(what, cause=cause)
    return ModelRefused(what + _set_by(words), cause=cause)


def _asked_wait_s(words: ProviderWords, reply: HttpReply) -> float | None:
    """In the headers, or else in the body: as a field, as a router's headers of the provider, or in the text."""
    now = time.time()
    places = (
        read_retry_after_s(reply.headers, now),
        read_retry_after_s(dict(words.headers), now),
        read_duration_s(words.retry_delay),
        read_wait_s(words.message),
    )
    told = [seconds for seconds in places if seconds is not None]
    return next((seconds for seconds in told if seconds > 0), 0.0 if told else None)


def _is_flagged(words: ProviderWords) -> bool:
    return words.is_flagged or bool(words.reasons & _FLAGGED) or bool(_FLAGGED_TEXT.search(words.message))


def _is_too_long(words: ProviderWords) -> bool:
    too_long = words.reasons & _TOO_LONG or _TOO_LONG_TEXT.search(words.message)
    if too_long and (numbers := _DOES_NOT_FIT.search(words.message)) is not None:
        return int(numbers[1][:12]) <= int(numbers[2][:12])
    return bool(too_long) and not _TOO_LARGE_LIMIT.search(words.message)


def _set_by(words: ProviderWords) -> str:
    """Which lines of the recipe set the parameter that was refused, where some do, and which leave it out."""
    if _NO_SYSTEM.search(words.message):
        return " (the system turn is folded into the user's by teacher.model.system: fold)"
    named = _NAMED_PARAMETER.search(words.message)
    name = words.param or (named[1] if named else "")
    lines = [f"set by {_RECIPE_LINES[name]}"] if name in _RECIPE_LINES else []
    wants_another = name == "max_tokens" and "max_completion_tokens" in words.message
    if name in _OPTIONAL or (wants_another and not _TOO_LARGE_LIMIT.search(words.message)):
        lines.append(f"left out by teacher.model.leave_out: [{name}]")
        if words.code.startswith("unsupported") and name in _OF_REASONING_MODELS:
            lines.append("teacher.model.dialect: openai-reasoning leaves out all that such models refuse")
    return f" ({'; '.join(lines)})" if lines else ""
