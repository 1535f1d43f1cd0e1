"""A search provider as a SearchBackend: build the request, send it, read the hits."""

from __future__ import annotations

import dataclasses
import logging
import os
from typing import Any, ClassVar, Protocol

from fireact_ray.agent.tools.web.http import HttpClient, HttpPolicy, Request
from fireact_ray.agent.tools.web.reading import reply_object, unread
from fireact_ray.agent.tools.web.refusals import error_within
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.net.proxies import proxy_for
from fireact_ray.core.secrets import ApiKey
from fireact_ray.core.types import Hit

_MAX_QUERY_CHARS = 400  # the least that any provider allows (Brave)

logger = logging.getLogger(__name__)


class Provider(Protocol):
    """What differs between providers. A frozen dataclass of the settings that shape results.

    `sections`: where its replies hold results. `bare_list`: the section that a reply which is a list stands for.
    """

    sections: ClassVar[tuple[str, ...]]
    bare_list: ClassVar[str | None]

    @property
    def name(self) -> str: ...

    @property
    def base_url(self) -> str: ...

    def request(self, query: str, k: int, key: str) -> Request:
        """`key` is "" where none is configured."""
        ...

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """All hits of a reply of any shape, best first. A title alone counts only where no hit has a text."""
        ...

    def finds_nothing(self, reply: dict[str, Any]) -> bool:
        """Whether a reply without any section says by itself that nothing was found."""
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
            found = reply_object(reply, self._label, self._provider.bare_list)
        except ToolDenied:  # ends the run, which says so
            raise
        except ToolError as error:
            self._report(str(error), str(error))
            raise
        return self._hits(found)[:k]

    async def close(self) -> None:
        await self._http.close()

    def _hits(self, reply: dict[str, Any]) -> list[Hit]:
        """Raises ToolError for a reply in which nothing was read and which does not say that nothing was found: to
        show "No results found." for it, and to keep that in the cache, would be a lie."""
        given = self._provider.hits(reply)
        hits = [hit for hit in given if hit.text] or [Hit("", hit.title, hit.score) for hit in given if hit.title]
        if hits or self._provider.finds_nothing(reply):
            return hits
        said = error_within(reply)
        problem = f"the reply is {said.line(None)}" if said else unread(reply, self._provider.sections)
        if problem is not None:
            self._report("unread" if said is None else problem, f"{self._label}: {problem}")
            raise ToolError(f"{self._label}: {problem}")
        return []

    def _report(self, kind: str, problem: str) -> None:
        """Each kind once: models see only that the search failed, and a broken provider fails thousands of times."""
        if kind not in self._reported:
            self._reported.add(kind)
            logger.warning("%s", problem)
