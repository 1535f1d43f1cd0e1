"""POST /retrieve: our search tier for others, with Search-R1's interface.

{"queries": ["..."], "topk": 3, "return_scores": true}
-> {"result": [[{"document": {"contents": "\\"Title\\"\\ntext"}, "score": 0.8}, ...], ...]}

One list per query, in the order of the queries. Without `return_scores` a hit is its document alone, as there. All
queries of a request are as much work as one question, so they count as one, and have its time.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.grammar import canonical_line
from fireact_ray.core.types import Hit
from fireact_ray.serving.delivery import call_of, until_gone
from fireact_ray.serving.errors import ApiError
from fireact_ray.serving.request_fields import number
from fireact_ray.serving.service import Service
from fireact_ray.serving.settings import ServingSettings

MOST_QUERY_CHARS = 2_000
_MOST_QUERIES, _MOST_HITS, _MOST_HITS_OF_ALL, _DEFAULT_HITS = 1_024, 100, 5_000, 3
_MOST_CHARS = 8 << 20  # of all that is found
_AT_ONCE = 32


class RetrieveRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    queries: Annotated[
        list[Annotated[str, Field(max_length=MOST_QUERY_CHARS)]], Field(min_length=1, max_length=_MOST_QUERIES)
    ]
    topk: Annotated[int, Field(ge=1, le=_MOST_HITS), number] | None = None
    return_scores: StrictBool = False

    @property
    def k(self) -> int:
        return self.topk or _DEFAULT_HITS


def add_retrieve(app: FastAPI, service: Service, search: SearchBackend) -> None:
    @app.post("/retrieve")
    async def retrieve(body: RetrieveRequest, request: Request) -> dict[str, Any]:
        key = call_of(request).key
        service.admission.count(key)
        with service.admission.running(key):
            lists = await until_gone(request.receive, found(search, body, service.settings))
        return {"result": [[_row(hit, body.return_scores) for hit in hits] for hits in lists]}


async def found(backend: SearchBackend, request: RetrieveRequest, settings: ServingSettings) -> list[list[Hit]]:
    """The hits of each query. Raises ApiError: 400 for more hits than a reply holds, 503 where the search cannot
    answer, 504 where it does not in time. Raises ToolDenied."""
    if len(request.queries) * request.k > _MOST_HITS_OF_ALL:
        message = f"A reply holds {_MOST_HITS_OF_ALL} hits: ask for fewer, or with fewer queries at once."
        raise ApiError(400, message, param="topk")
    try:
        async with asyncio.timeout(settings.max_seconds):
            lists = await _searched(backend, request)
    except TimeoutError:
        message = f"The search took longer than {settings.max_seconds:g} s."
        raise ApiError(504, message, code="timeout") from None
    except ToolDenied:
        raise
    except ToolError:
        message = "The search is unavailable right now."
        retry_after_s = settings.retry_after_s
        raise ApiError(503, message, code="search_unavailable", retry_after_s=retry_after_s) from None
    if sum(len(hit.title) + len(hit.text) for hits in lists for hit in hits) > _MOST_CHARS:
        message = f"What is found has more than {_MOST_CHARS} characters: ask for fewer hits, or with fewer queries."
        raise ApiError(400, message, param="topk", code="reply_too_large")
    return lists


async def _searched(backend: SearchBackend, request: RetrieveRequest) -> list[list[Hit]]:
    """Raises what the first query that fails raises; the others are called off then."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def hits(query: str) -> list[Hit]:
        async with places:
            return (await backend.search(query, request.k))[: request.k] if query else []

    try:
        async with asyncio.TaskGroup() as group:
            searches = [group.create_task(hits(canonical_line(query))) for query in request.queries]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [search.result() for search in searches]


def _row(hit: Hit, with_score: bool) -> dict[str, Any]:
    document = {"contents": f'"{hit.title}"\n{hit.text}' if hit.title else hit.text}
    return {"document": document, "score": hit.score} if with_score else document
