"""What the reply of an OpenAI-compatible server means: a Completion, or which failure. Nothing is ever guessed.

Providers spell things in their own ways and also say OK when they failed; an error inside a reply that says OK means
what it would mean with the status that it names (`openai_failures.py`). What it counts: `openai_usage.py`.
"""

from __future__ import annotations

from typing import Any

from fireact_ray.agent.models.base import Completion
from fireact_ray.agent.models.openai_failures import failure_of
from fireact_ray.agent.models.openai_usage import read_usage
from fireact_ray.core.content import Content, read_content
from fireact_ray.core.errors import (
    MalformedReply,
    ModelError,
    PromptFlagged,
    ReplyWithheld,
    UnreadReply,
)
from fireact_ray.core.net.http import MAX_REPLY_BYTES, HttpReply, read_json
from fireact_ray.core.net.provider_errors import ProviderWords, error_in, one_line, read_words, words_of

# `finish_reason` in lower case, up to a colon. A word that stands in none of these is a reply that came to its own end.
_CUT = {"length", "max_tokens", "model_length", "model_context_window_exceeded"}
_FILTERED = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive"}
_BROKEN_OFF = {"error", "abort", "network_error", "insufficient_system_resource"}


def read_completion(reply: HttpReply, model: str, host: str) -> Completion:
    """The reply's completion. Raises the ModelError that any other reply means.

    A count of tokens that is missing or none leaves the usage unknown, `Usage()`.
    """
    if not 200 <= reply.status < 300:
        raise failure_of(read_words(reply.body), reply, reply.status, model, host)
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
        return failure_of(words, reply, words.status, model, host)
    match found:
        case {"promptFeedback": {"blockReason": str(reason)}}:
            reason = one_line(reason, 60)
            return PromptFlagged(f"{model}: the provider blocked this prompt ({reason})", cause=f"blocked {reason}")
        case dict() if words.message and not found.get("choices"):
            return failure_of(words, reply, words.status, model, host)
        case dict():
            return _malformed(model, "the reply holds no choice with a message")
    if words.is_page:
        return _malformed(model, f"the address answers with {words.message}; is teacher.model.base_url right?")
    return _malformed(model, "the reply is no JSON object")


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
