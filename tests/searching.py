"""A search at a provider that answers on loopback: what is found, what is warned of, how often it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from loopback import loopback
from pydantic import TypeAdapter

from fireact_ray.agent.tools.config import SearchBackendConfig
from fireact_ray.agent.tools.web.backend import WebBackend
from fireact_ray.agent.tools.web.http import HttpPolicy
from fireact_ray.agent.tools.web.opening import open_web
from fireact_ray.core.errors import ToolError
from fireact_ray.core.types import Hit

FAST = HttpPolicy(timeout_s=2.0, max_attempts=2, first_delay_s=0.01, max_delay_s=0.02, max_retry_after_s=5.0)


@dataclass(frozen=True)
class Searched:
    """`found`: the hits, or the error of the search."""

    found: list[Hit] | ToolError
    asked: list[dict[str, Any]]

    @property
    def texts(self) -> list[str]:
        assert isinstance(self.found, list), self.found
        return [f"{hit.title}: {hit.text}" if hit.title else hit.text for hit in self.found]


async def searched(kind: str, *replies: Any, query: str = "Lake Tarn depth", k: int = 5, status: int = 200) -> Searched:
    """Asks the provider of this `kind` once. The n-th answer is the n-th of `replies`, the last one from then on; a
    reply is any JSON, or a pair of it and headers."""

    def answer(n: int) -> web.Response:
        reply = replies[min(n, len(replies) - 1)]
        body, headers = reply if isinstance(reply, tuple) else (reply, None)
        return web.json_response(body, status=status, headers=headers)

    async with loopback(answer) as server:
        config = TypeAdapter(SearchBackendConfig).validate_python({"kind": kind, "base_url": server.url})
        opened = open_web(config, with_key=False)
        backend = WebBackend(opened._provider, None, FAST)
        try:
            found: list[Hit] | ToolError = await backend.search(query, k)
        except ToolError as error:
            found = error
        finally:
            await backend.close()
    return Searched(found, server.asked)
