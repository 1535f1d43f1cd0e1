"""Any OpenAI-compatible chat API (`base_url`): one request per call, typed failures.

It speaks HTTP itself: OpenAI's own client takes several times the CPU per request (see benchmarks/clients.py), and a
worker's event loop has hundreds of calls in flight. Failures are tried again by `retrying`, rate limits are waited for
by `metered`, which also hears what the reply's headers say of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import urlsplit

from fireact_ray.agent.models.base import Completion, Sampling, spoken
from fireact_ray.agent.models.dialects import fold_system
from fireact_ray.agent.models.openai_reply import read_completion
from fireact_ray.agent.quota.rate_headers import read_notice
from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.core.net.http import HttpReply, HttpSession, NoReply
from fireact_ray.core.net.proxies import proxy_for
from fireact_ray.core.secrets import redact
from fireact_ray.core.types import Turn

OPENAI_URL = "https://api.openai.com/v1"


class OpenAIChat:
    """A chat model behind `POST {base_url}/chat/completions`. `timeout_s` bounds a request to its last byte.
    `leave_out`: of the parameters temperature, stop, seed and max_tokens those that are not sent (no limit at all
    without both of its names). `key_header`: None sends the key as a bearer's. `extra_body`, `extra_headers`,
    `extra_query` go with every request; `folds_system`: as dialects.fold_system. `read`: makes a completion of a reply;
    the model's name and host are for its errors.

    Holds the key, so it does not pickle: each process builds its own. Raises InputError for a proxy in the environment
    that cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str,
        timeout_s: float = 120.0,
        leave_out: Sequence[str] = (),
        key_header: str | None = None,
        folds_system: bool = False,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
        extra_query: Mapping[str, str] | None = None,
        read: Callable[[HttpReply, str, str], Completion] = read_completion,
    ) -> None:
        self.name = name
        self._label = redact(name)  # opens every error
        self._url = f"{(base_url or OPENAI_URL).rstrip('/')}/chat/completions"
        self._host = urlsplit(self._url).hostname or ""
        proxy_for(os.environ, self._url)
        extra = dict(extra_headers or {})
        own = {key_header: api_key} if key_header else {"Authorization": f"Bearer {api_key}"}
        named = {name.lower() for name in extra}
        self._headers = {name: value for name, value in own.items() if name.lower() not in named} | extra
        self._query = dict(extra_query or {}) or None
        self._extra_body = dict(extra_body or {})
        self._folds_system = folds_system
        self._read = read
        self._leave_out = frozenset(leave_out)
        self._limit = "max_completion_tokens" if "max_tokens" in leave_out else token_limit_field(self._host)
        self._session = HttpSession(timeout_s)

    def __reduce__(self) -> NoReturn:
        raise TypeError("OpenAIChat holds a key: build it in the process that uses it")

    async def complete(self, turns: Sequence[Turn], sampling: Sampling) -> Completion:
        reply = await self._session.send(
            "POST", self._url, params=self._query, headers=self._headers, body=self._request(turns, sampling)
        )
        if isinstance(reply, NoReply):
            raise ModelUnavailable(f"{self._label}: {reply.problem}", cause=reply.problem)
        completion = self._read(reply, self._label, self._host)
        if "stop" in self._leave_out:
            completion = spoken(completion, sampling.stop)
        return replace(completion, notice=read_notice(reply.headers))

    async def close(self) -> None:
        await self._session.close()

    def _request(self, turns: Sequence[Turn], sampling: Sampling) -> dict[str, Any]:
        if self._folds_system:
            turns = fold_system(turns)
        request: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": turn.role, "content": turn.content} for turn in turns],
            "temperature": sampling.temperature,
            self._limit: sampling.max_new_tokens,
        }
        if sampling.stop:
            request["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            request["seed"] = sampling.seed
        sent = {name: value for name, value in request.items() if name not in self._leave_out}
        return sent | self._extra_body


def token_limit_field(host: str) -> str:
    """OpenAI's newer models refuse `max_tokens`, its older ones know both names; other servers often do not."""
    return "max_completion_tokens" if f".{host}".endswith(".api.openai.com") else "max_tokens"
