"""One HTTP request -> JSON, for every search provider: bounded retries, typed failures.

An error says which provider failed and how, in the provider's words as far as they are safe (provider_words), and
never the URL or the request, which may hold a key.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

from fireact_ray.agent.quota.rate_headers import read_retry_after_s
from fireact_ray.agent.tools.web.refusals import PASSING_STATUS, error_within, passes, refuses_all
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.net.http import MAX_REPLY_BYTES, NOT_JSON, HttpReply, HttpSession, NoReply, read_json
from fireact_ray.core.net.provider_errors import read_words


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `params` and `headers` may hold a key, so they are not printed."""

    method: str
    url: str
    params: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """`timeout_s` is per try. Delays between tries have full jitter; a longer `Retry-After` than allowed gives up."""

    timeout_s: float = 20.0
    max_attempts: int = 4
    max_connections: int = 32
    first_delay_s: float = 0.5
    max_delay_s: float = 10.0
    max_retry_after_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Failure:
    problem: str
    passing: bool = False
    denied: bool = False
    retry_after_s: float | None = None


class HttpClient:
    """`label` opens every error."""

    def __init__(self, label: str, policy: HttpPolicy) -> None:
        self._label, self._policy = label, policy
        self._session = HttpSession(policy.timeout_s, policy.max_connections)

    async def fetch(self, request: Request) -> Any:
        """The reply's JSON. Raises ToolDenied for a refused key or plan, ToolError for all else that went wrong."""
        attempt = 0
        while True:
            attempt += 1
            outcome = await self._once(request)
            if not isinstance(outcome, _Failure):
                return outcome
            problem = f"{self._label}: {outcome.problem}"
            if outcome.denied:
                raise ToolDenied(
                    f"{self._label} refuses every search ({outcome.problem}). "
                    "Put its key or plan right and run the same command again."
                )
            if not outcome.passing:
                raise ToolError(problem)
            if attempt >= self._policy.max_attempts:
                raise ToolError(f"{problem} (after {attempt} attempts)")
            if outcome.retry_after_s is not None and outcome.retry_after_s > self._policy.max_retry_after_s:
                raise ToolError(f"{problem}, to be asked again in {outcome.retry_after_s:.0f} s only")
            await asyncio.sleep(outcome.retry_after_s or self._jitter_s(attempt))

    async def close(self) -> None:
        await self._session.close()

    async def _once(self, request: Request) -> Any:
        reply = await self._session.send(
            request.method, request.url, params=request.params, headers=request.headers, body=request.body
        )
        if isinstance(reply, NoReply):
            return _Failure(reply.problem, passing=True)
        if reply.status != 200:
            return _refused(reply)
        if reply.body is None:
            return _Failure(f"the reply is longer than {MAX_REPLY_BYTES:,} bytes")
        found = read_json(reply.body)
        if found is NOT_JSON:
            words = read_words(reply.body)
            page = f", but {words.message}" if words.is_page else ""
            return _Failure(f"the reply is not JSON{page}", passing=True)
        if (said := error_within(found)) is not None:
            denied = refuses_all(said, said.status)
            if denied or passes(said):
                return _Failure(said.line(200), not denied, denied, _wait_s(reply))
        return found

    def _jitter_s(self, attempt: int) -> float:
        ceiling = min(self._policy.max_delay_s, self._policy.first_delay_s * 2 ** (attempt - 1))
        return random.uniform(0, ceiling)


def _refused(reply: HttpReply) -> _Failure:
    status, words = reply.status, read_words(reply.body)
    return _Failure(
        words.line(status),
        passing=status in PASSING_STATUS or status >= 500,
        denied=refuses_all(words, status),
        retry_after_s=_wait_s(reply),
    )


def _wait_s(reply: HttpReply) -> float | None:
    return read_retry_after_s(reply.headers, time.time())
