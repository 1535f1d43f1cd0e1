"""A search provider as a SearchBackend: build the request, send it, read the hits."""

from __future__ import annotations

import dataclasses
import logging
import os
from typing import Any, Protocol

from fireact_ray.agent.tools.web.http import HttpClient, HttpPolicy, Request
from fireact_ray.agent.tools.web.reading import reply_object
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.net.proxies import proxy_for
from fireact_ray.core.secrets import ApiKey
from fireact_ray.core.types import Hit

_MAX_QUERY_CHARS = 400  # the least that any provider allows (Brave)

logger = logging.getLogger(__name__)


class Provider(Protocol):
    """What differs between providers. A frozen dataclass of the settings that shape results."""

    @property
    def name(self) -> str: ...

    @property
    def base_url(self) -> str: ...

    def request(self, query: str, k: int, key: str) -> Request:
        """`key` is "" where none is configured."""
        ...

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """All hits of a reply of any shape, best first. Raises ToolError where it says that the search failed."""
        ...


class WebBackend:
    """Pickles as settings: neither the key nor the open session travels, each process reads and opens its own."""

    def __init__(self, provider: Provider, key: ApiKey | None = None, policy: HttpPolicy | None = None) -> None:
        """Raises InputError for a key that is not there or a proxy that cannot be used, before the first search."""
        self._provider, self._key, self._policy = provider, key, policy or HttpPolicy()
        if key is not None:
            key.read()
        proxy_for(os.environ, provider.base_url)
        settings = dataclasses.asdict(provider)  # type: ignore[call-overload]  # every provider is a dataclass
        self.fingerprint = f"{provider.name}-{content_hash(settings)}"
        self._label = f"The search provider '{provider.name}'"
        self._http = HttpClient(self._label, self._policy)
        self._reported: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return WebBackend, (self._provider, self._key, self._policy)

    async def search(self, query: str, k: int) -> list[Hit]:
        # A query is a model's text: lone surrogates cannot be encoded, and a URL has a bound.
        query = " ".join(query.encode("utf-8", "replace").decode().split())[:_MAX_QUERY_CHARS]
        if not query:
            return []
        key = self._key.read() if self._key is not None else ""
        try:
            reply = await self._http.fetch(self._provider.request(query, k, key))
            hits = self._provider.hits(reply_object(reply, self._label))
        except ToolDenied:  # ends the run, which says so
            raise
        except ToolError as error:
            self._report(str(error))
            raise
        return [hit for hit in hits if hit.text][:k]

    async def close(self) -> None:
        await self._http.close()

    def _report(self, problem: str) -> None:
        """Each problem once: models see only that the search failed, and a broken provider fails thousands of times."""
        if problem not in self._reported:
            self._reported.add(problem)
            logger.warning("%s", problem)
