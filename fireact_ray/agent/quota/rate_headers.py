"""What a provider says about its limits, read from the headers of a reply."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_UNIT_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|d|h|m|s)")
_TRY_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) "
    r"(?:((?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+)\b|(\d+(?:\.\d+)?) ?([dhms])(?:ay|our|in|ec))",
    re.IGNORECASE,
)
_OLDEST_UNIX_S = 1e9  # 2001


@dataclass(frozen=True, slots=True)
class RateNotice:
    """Limits per minute and what is left of them; None where a header is missing or no number (Azure sends -1)."""

    requests_per_minute: float | None = None
    remaining_requests: float | None = None
    tokens_per_minute: float | None = None
    remaining_tokens: float | None = None


def read_notice(headers: Mapping[str, str]) -> RateNotice | None:
    """From `x-ratelimit-*` headers; `headers` must find names in lower case. None where there are none."""
    requests, tokens = (_number(headers.get(f"x-ratelimit-limit-{kind}")) for kind in ("requests", "tokens"))
    left_requests, left_tokens = (
        _number(headers.get(f"x-ratelimit-remaining-{kind}")) for kind in ("requests", "tokens")
    )
    if requests is tokens is left_requests is left_tokens is None:
        return None
    # A limit of 0 would stop the run for ever on what can only be a mistake.
    return RateNotice(requests or None, left_requests, tokens or None, left_tokens)


def read_retry_after_s(headers: Mapping[str, str], now_unix_s: float) -> float | None:
    """Seconds that a 429 asks to wait: from `retry-after-ms`, `retry-after` (seconds or an HTTP date), or when a limit
    of which nothing is left begins anew (`x-ratelimit-reset*`). 0 where a date has passed; None where nothing is said.
    """
    told = _told_s(headers, now_unix_s)
    return told if told else max(_resets_s(headers, now_unix_s), default=told)


def read_wait_s(text: str) -> float | None:
    """From a sentence such as "Please try again in 1m2.5s."."""
    found = _TRY_AGAIN.search(text)
    return None if found is None else read_duration_s(found[1] or found[2] + found[3].lower())


def read_duration_s(text: str) -> float | None:
    """Such as "2m59.56s", "120ms", "7.66s"; a bare number is of seconds."""
    if (number := _number(text)) is not None:
        return number
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    return seconds if math.isfinite(seconds) else None


def _told_s(headers: Mapping[str, str], now_unix_s: float) -> float | None:
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None or (seconds := read_duration_s(text)) is not None:
        return None if text is None else seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_unix_s)
    except (ValueError, OverflowError):
        return None


def _resets_s(headers: Mapping[str, str], now_unix_s: float) -> Iterator[float]:
    """Of every limit that is used up; some give the limits of several windows in one header, with commas between."""
    for kind in ("", "-requests", "-tokens"):
        resets = headers.get(f"x-ratelimit-reset{kind}", "").split(",")
        lefts = headers.get(f"x-ratelimit-remaining{kind}", "").split(",")
        for reset, left in zip(resets, lefts, strict=False):
            if _number(left) == 0 and (seconds := read_duration_s(reset.strip())) is not None:
                yield _from_now_s(seconds, now_unix_s)


def _from_now_s(seconds: float, now_unix_s: float) -> float:
    """A number that can only be a time of day is one, in seconds or milliseconds since 1970."""
    if seconds >= _OLDEST_UNIX_S * 1000:
        seconds /= 1000
    return max(0.0, seconds - now_unix_s) if seconds >= _OLDEST_UNIX_S else seconds


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
