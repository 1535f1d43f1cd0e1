"""What the reply of an OpenAI-compatible server means: a Completion, or which failure. Nothing is ever guessed.

Providers spell things in their own ways and also say OK when they failed; an error inside a reply that says OK means
what it would mean with the status that it names. An error repeats the provider's own words, as far as they are safe
(see provider_words), and names the line of the recipe that sets a parameter which was refused.
"""

from __future__ import annotations

import re
import time
from typing import Any

from fireact_ray.agent.models.base import Completion
from fireact_ray.agent.quota.rate_headers import read_duration_s, read_retry_after_s, read_wait_s
from fireact_ray.core.content import Content, read_content
from fireact_ray.core.errors import (
    MalformedReply,
    ModelDenied,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ModelUnknown,
    PromptFlagged,
    RateLimited,
    ReplyWithheld,
    TokenLimit,
    UnreadReply,
)
from fireact_ray.core.net.http import MAX_REPLY_BYTES, HttpReply, read_json
from fireact_ray.core.net.provider_errors import ProviderWords, error_in, one_line, read_words, words_of
from fireact_ray.core.types import Usage

# `finish_reason` in lower case, up to a colon. A word that stands in none of these is a reply that came to its own end.
_CUT = {"length", "max_tokens", "model_length", "model_context_window_exceeded"}
_FILTERED = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive"}
_BROKEN_OFF = {"error", "abort", "network_error", "insufficient_system_resource"}

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

_MOST_TOKENS = 2**31  # of one reply: a larger count is a mistake
_COUNTS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")


def read_completion(reply: HttpReply, model: str, host: str) -> Completion:
    """The reply's completion. Raises the ModelError that any other reply means.

    A count of tokens that is missing or none leaves the usage unknown, `Usage()`.
    """
    if not 200 <= reply.status < 300:
        raise _failure(read_words(reply.body), reply, reply.status, model, host)
    if reply.body is None:
        raise _malformed(model, f"the reply is longer than {MAX_REPLY_BYTES:,} bytes")
    found = read_json(reply.body)
    match found:
        case {"choices": [{"message": dict(message)} as choice, *_]}:
            content = read_content(message)
            text, finish_reason = _read_text(content, message, choice, model)
            return Completion(text, finish_reason, read_usage(found.get("usage")), reasoning=content.reasoning)
        case {"choices": [{"finish_reason": str(reason)}, *_]} if _base(reason) in _FILTERED:
            raise _withheld(model)
    raise _no_completion(found, reply, model, host)


def _no_completion(found: Any, reply: HttpReply, model: str, host: str) -> ModelError:
    words = read_words(reply.body)
    if error_in(found) is not None:
        return _failure(words, reply, words.status, model, host)
    match found:
        case {"promptFeedback": {"blockReason": str(reason)}}:
            reason = one_line(reason, 60)
            return PromptFlagged(f"{model}: the provider blocked this prompt ({reason})", cause=f"blocked {reason}")
        case dict() if words.message and not found.get("choices"):
            return _failure(words, reply, words.status, model, host)
        case dict():
            return _malformed(model, "the reply holds no choice with a message")
    if words.is_page:
        return _malformed(model, f"the address answers with {words.message}; is teacher.model.base_url right?")
    return _malformed(model, "the reply is no JSON object")


def _failure(words: ProviderWords, reply: HttpReply, status: int | None, model: str, host: str) -> ModelError:
    """What a status and the words beside it mean for the row and for the run. None: no status is said at all."""
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


def _malformed(model: str, what: str) -> MalformedReply:
    return MalformedReply(f"{model}: {what}", cause=what)


def _unread(model: str, what: str) -> UnreadReply:
    return UnreadReply(f"{model}: {what}", cause=what)


def _withheld(model: str) -> ReplyWithheld:
    return ReplyWithheld(f"{model}: the provider's content filter withheld the reply", cause="content filter")


def _base(finish_reason: str) -> str:
    return finish_reason.partition(":")[0].lower()


def _read_text(content: Content, message: dict[str, Any], choice: dict[str, Any], model: str) -> tuple[str, str]:
    """The text, and "stop" or "length"."""
    text, finish_reason = content.text, choice.get("finish_reason")
    if not isinstance(finish_reason, str | None):
        raise _unread(model, "the reply's finish_reason is no word")
    reason = _base(finish_reason or "stop")
    if reason in _FILTERED:
        raise _withheld(model)
    if reason in _BROKEN_OFF:
        raise _broken_off(choice, model)
    if text is None and content.refusal:
        raise ReplyWithheld(f"{model}: the model declined to reply", cause="refusal")
    if content.unread:
        raise _unread(model, f"the reply's content is not text ({content.unread})")
    if text is None and reason in _CUT:  # all of it went into hidden reasoning
        text = ""
    if _holds_calls(message):  # also beside a text: an action that nobody reads would be one that was never asked for
        raise _unread(
            model,
            "the reply's content is not text (it holds tool calls; start the server without its parser of tool calls)",
        )
    if reason not in _CUT and content.reasoning and not (text or "").strip():
        raise _unread(
            model,
            "the reply's content is not text (all of it is hidden reasoning; start the server without its parser of "
            "reasoning, or ask for less of it)",
        )
    if text is None:
        raise _malformed(model, "the reply's content is not text")
    return text, "length" if reason in _CUT else "stop"


def _holds_calls(message: dict[str, Any]) -> bool:
    """Servers that split them off send a text of nothing beside them, null or what was said before the call."""
    return bool(message.get("tool_calls") or message.get("function_call"))


def _broken_off(choice: dict[str, Any], model: str) -> MalformedReply:
    """With the words of the error that stands in the choice, where there is one."""
    words = words_of(choice) if error_in(choice) is not None else ProviderWords()
    said = f" ({words.line(words.status)})" if words != ProviderWords() else ""
    return MalformedReply(
        f"{model}: the reply broke off{said}", cause=f"broke off {words.cause(words.status)}".rstrip()
    )


def read_usage(usage: Any) -> Usage:
    """What a reply counts; Usage() where it counts nothing. Tokens of hidden reasoning count as the reply's, also where
    they stand in the total alone or beside the reply's; never twice."""
    if not isinstance(usage, dict):
        return Usage()
    prompt, completion = (_count(usage, *names) for names in _COUNTS)
    total, details = _count(usage, "total_tokens"), usage.get("completion_tokens_details")
    if prompt is None or (completion is None and total is None):
        return Usage()
    replied = completion or 0
    thought = (_count(details, "reasoning_tokens") if isinstance(details, dict) else None) or 0
    if thought > replied:  # so that they are not among the reply's
        replied += thought
    if total is not None and total > prompt + (completion or 0):
        replied = total - prompt
    return Usage(prompt, replied, _cached(usage))


def _cached(usage: dict[str, Any]) -> int | None:
    """Tokens of the prompt that came from the provider's cache, under the names of OpenAI, DeepSeek and Anthropic."""
    for place in (*(usage.get(name) for name in _PROMPT_DETAILS), usage):
        if isinstance(place, dict) and (found := _count(place, *_CACHED)) is not None:
            return found
    return None


def _count(usage: dict[str, Any], *names: str) -> int | None:
    return next((usage[name] for name in names if _counts(usage.get(name))), None)


def _counts(number: Any) -> bool:
    return type(number) is int and 0 <= number < _MOST_TOKENS
