"""What a reply says that it has used -> tokens of the prompt and of the reply, in the words of many providers."""

from __future__ import annotations

from typing import Any

from fireact_ray.core.types import Usage

_MOST_TOKENS = 2**31  # of one reply: a larger count is a mistake
_COUNTS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")


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
