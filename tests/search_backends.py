"""Every search backend, opened: providers answer on loopback in the shapes that their documentation shows."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from loopback import loopback

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.types import Hit
from fireact_ray.recipe.search import open_backend

KEY = "loopback-key-0123456789"
QUERY = "Lake Tarn depth"

SERPAPI = {
    "search_metadata": {"id": "1", "status": "Success"},
    "search_parameters": {"engine": "google", "q": QUERY},
    "search_information": {"organic_results_state": "Results for exact spelling"},
    "answer_box": {
        "type": "organic_result",
        "title": "Lake Tarn",
        "answer": "410 m",
        "snippet": "Lake Tarn is 410 m deep.",
        "snippet_highlighted_words": ["410 m deep"],
    },
    "organic_results": [
        {"position": 1, "title": "Tarn", "link": "https://a.example", "snippet": "Tarn is a lake in Orr."},
        {"position": 2, "title": "Orr", "link": "https://b.example", "snippet": "Orr has three lakes."},
    ],
}
SERPER = {
    "searchParameters": {"q": QUERY, "gl": "us", "hl": "en", "type": "search", "num": 10},
    "knowledgeGraph": {"title": "Lake Tarn", "type": "Lake", "description": "Lake Tarn is a lake in Orr."},
    "answerBox": {"title": "Depth", "answer": "410 m", "snippet": "It is 410 m deep."},
    "organic": [{"title": "Tarn", "link": "https://a.example", "snippet": "Deepest in Orr.", "position": 1}],
    "peopleAlsoAsk": [],
}
TAVILY = {
    "query": QUERY,
    "answer": None,
    "images": [],
    "results": [
        {
            "title": "Tarn",
            "url": "https://a.example",
            "content": "It is 410 m deep.",
            "score": 0.9,
            "raw_content": None,
        },
        {"title": "Orr", "url": "https://b.example", "content": "Three lakes.", "score": 0.4, "raw_content": None},
    ],
    "response_time": 0.6,
}
BRAVE = {
    "type": "search",
    "query": {"original": QUERY, "more_results_available": True},
    "web": {
        "type": "search",
        "results": [
            {"title": "Tarn", "url": "https://a.example", "description": "It is <strong>410 m</strong> &amp; cold."},
            {"title": "Orr", "url": "https://b.example", "description": "Three lakes.", "extra_snippets": ["x"]},
        ],
    },
}
WIKIPEDIA = {
    "batchcomplete": True,
    "query": {
        "pages": [
            {"pageid": 3, "ns": 0, "title": "Orr", "index": 2, "extract": "Orr has three lakes."},
            {"pageid": 7, "ns": 0, "title": "Lake Tarn", "index": 1, "extract": "Lake Tarn is 410 m deep."},
        ]
    },
}
RETRIEVE = {
    "result": [
        [
            {"document": {"id": "1", "contents": '"Lake Tarn"\nIt is 410 m deep.'}, "score": 0.9},
            {"document": {"id": "2", "contents": '"Orr"\nThree lakes.'}, "score": 0.4},
        ]
    ]
}


@dataclass(frozen=True)
class Case:
    """A provider's answer, the hits it means, where the key is sent, and how nothing found looks."""

    reply: dict[str, Any]
    hits: list[Hit]
    empty: dict[str, Any]
    path: str
    key_in: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


CASES = {
    "serpapi": Case(
        SERPAPI,
        [Hit("", "410 m"), Hit("", "Tarn is a lake in Orr."), Hit("", "Orr has three lakes.")],
        {
            "search_metadata": {"status": "Success"},
            "search_information": {"organic_results_state": "Fully empty"},
            "error": "Google hasn't returned any results for this query.",
        },
        "/search.json",
        "query:api_key",
    ),
    "serper": Case(
        SERPER,
        [Hit("", "410 m"), Hit("Lake Tarn", "Lake Tarn is a lake in Orr."), Hit("Tarn", "Deepest in Orr.")],
        {"searchParameters": {"q": QUERY}, "organic": []},
        "/search",
        "headers:X-API-KEY",
    ),
    "tavily": Case(
        TAVILY,
        [Hit("Tarn", "It is 410 m deep.", 0.9), Hit("Orr", "Three lakes.", 0.4)],
        {"query": QUERY, "results": []},
        "/search",
        "headers:Authorization",
    ),
    "brave": Case(
        BRAVE,
        [Hit("Tarn", "It is 410 m & cold."), Hit("Orr", "Three lakes.")],
        {"type": "search", "query": {"original": QUERY}},
        "/res/v1/web/search",
        "headers:X-Subscription-Token",
    ),
    "wikipedia": Case(
        WIKIPEDIA,
        [Hit("Lake Tarn", "Lake Tarn is 410 m deep."), Hit("Orr", "Orr has three lakes.")],
        {"batchcomplete": True},
        "/w/api.php",
    ),
    "retrieve": Case(
        RETRIEVE,
        [Hit("Lake Tarn", "It is 410 m deep.", 0.9), Hit("Orr", "Three lakes.", 0.4)],
        {"result": [[]]},
        "/retrieve",
        "headers:Authorization",
        {"api_key_env": "RETRIEVE_KEY"},
    ),
}
LOCAL = ("index", "replay")


def config(kind: str, url: str, **settings: Any) -> SearchConfig:
    backend = {"kind": kind, "base_url": url, **CASES[kind].settings, **settings}
    return SearchConfig.model_validate({"backend": backend, "cache": {"enabled": False}})


@asynccontextmanager
async def opened(kind, tmp_path, monkeypatch, answer=None, **settings):
    """The backend of a kind and, for a provider, the loopback server behind it."""
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path / "cache"))
    for name in ("SERPAPI_API_KEY", "SERPER_API_KEY", "TAVILY_API_KEY", "BRAVE_API_KEY", "RETRIEVE_KEY"):
        monkeypatch.setenv(name, KEY)
    if kind in LOCAL:
        path = tmp_path / "rows.jsonl"
        path.write_text('{"title": "Lake Tarn", "query": "Lake Tarn depth", "text": "Lake Tarn is 410 m deep."}\n')
        name = "corpus" if kind == "index" else "path"
        backend = open_backend(SearchConfig.model_validate({"backend": {"kind": kind, name: str(path)}}))
        yield backend, None
        await backend.close()
        return
    async with loopback(answer or (lambda _: web.json_response(CASES[kind].reply))) as server:
        backend = open_backend(config(kind, server.url, **settings))
        yield backend, server
        await backend.close()
