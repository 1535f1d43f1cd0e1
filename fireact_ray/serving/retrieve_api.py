"""POST /retrieve: our search tier for others, with Search-R1's interface.

{"queries": ["..."], "topk": 3, "return_scores": true}
-> {"result": [[{"document": {"contents": "\\"Title\\"\\ntext"}, "score": 0.8}, ...], ...]}

One list per query, in the order of the queries. Without `return_scores` a hit is its document alone, as there.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ToolError
from fireact_ray.core.grammar import canonical_line
from fireact_ray.core.types import Hit
from fireact_ray.serving.errors import ApiError

_MOST_QUERIES, _MOST_HITS, _DEFAULT_HITS = 256, 100, 3


class RetrieveRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    queries: Annotated[list[Annotated[str, Field(max_length=2_000)]], Field(min_length=1, max_length=_MOST_QUERIES)]
    topk: Annotated[int, Field(ge=1, le=_MOST_HITS)] | None = None
    return_scores: StrictBool = False


async def retrieved(backend: SearchBackend, request: RetrieveRequest, retry_after_s: float) -> dict[str, Any]:
    """Raises ApiError (503) where the search cannot answer."""
    lists = await found(backend, request, retry_after_s)
    return {"result": [[_row(hit, request.return_scores) for hit in hits] for hits in lists]}


async def found(backend: SearchBackend, request: RetrieveRequest, retry_after_s: float) -> list[list[Hit]]:
    """The hits of each query. Raises ApiError (503) where the search cannot answer."""
    k = request.topk or _DEFAULT_HITS
    try:
        return await asyncio.gather(*(_hits(backend, canonical_line(query), k) for query in request.queries))
    except ToolError:
        message = "The search is unavailable right now."
        raise ApiError(503, message, code="search_unavailable", retry_after_s=retry_after_s) from None


async def _hits(backend: SearchBackend, query: str, k: int) -> list[Hit]:
    return (await backend.search(query, k))[:k] if query else []


def _row(hit: Hit, with_score: bool) -> dict[str, Any]:
    document = {"contents": f'"{hit.title}"\n{hit.text}' if hit.title else hit.text}
    return {"document": document, "score": hit.score} if with_score else document
