"""Whether a search provider refuses this one search, every search (a key, a plan or a right to ask that is missing), or
any search for the moment.

Providers tell it by many statuses, some with a 200; what they say is then in the body.
"""

from __future__ import annotations

import re
from typing import Any

from fireact_ray.core.net.provider_errors import ProviderWords, words_of

_DENIED = (401, 402, 403, 432, 433)  # the last two are Tavily's, for a plan
PASSING_STATUS = (408, 425, 429)  # worth another try, as every 5xx is
_DENIED_REASONS = {"subscription_token_invalid", "quota_limited", "resource_not_allowed", "option_not_in_plan"}  # Brave
_DENIED_TEXT = re.compile(
    r"(?:invalid|incorrect|missing|expired)(?: or (?:invalid|missing))? (?:api|subscription).?(?:key|token)|"
    r"(?:api|subscription).?(?:key|token)[^.]{0,20} is (?:not valid|invalid|incorrect|missing|expired|disabled)|"
    r"couldn'?t find your api.?key|\bunauthori[sz]ed\b|"
    r"account (?:is |has been |was )?(?:disabled|suspended|deactivated|deleted)|"
    r"run out of searches|not enough credits|insufficient (?:credits|balance|funds)|"
    r"quota[^.]{0,20} exceeded|plan'?s (?:set )?usage limit",
    re.IGNORECASE,
)

_PASSING = re.compile(
    r"maxlag|rate.?limit|too.(?:many|busy)|\bbusy\b|overload|read.?only|temporar|time.?out|timed out|try again|"
    r"unavailable|lagged|backend.error|internal.(?:api|server).error|connecting to|connection (?:refused|reset)",
    re.IGNORECASE,
)


def refuses_all(words: ProviderWords, status: int | None) -> bool:
    """`status`: None of an error told with a 200. A web page with a 403 is a firewall's, which looks at the query."""
    if status in _DENIED:
        return not (status == 403 and words.is_page)
    if status is not None and status >= 500:
        return False
    return bool(words.reasons & _DENIED_REASONS or _DENIED_TEXT.search(words.message))


def passes(words: ProviderWords) -> bool:
    """Whether an error that was told with a 200 may be gone at the next try."""
    if words.status is not None:
        return words.status in PASSING_STATUS or words.status >= 500
    return _PASSING.search(f"{words.code} {words.message}") is not None


def error_within(reply: Any) -> ProviderWords | None:
    """What a reply with a 200 says instead of results, where it says that it failed."""
    match reply:
        case {"error": str() | dict()} | {"detail": str() | dict()}:
            return words_of(reply)
        case (
            {"error": True, **others} | {"success": False, **others} | {"status": "error" | "fail" | "failed", **others}
        ):
            return words_of(others)
        case {"statusCode": int(status)} | {"status": int(status)} if status >= 400:
            return words_of(reply)
        case {"message": str(), **others} if not others:
            return words_of(reply)
        case _:
            return None
