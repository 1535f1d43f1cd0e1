"""One contract for every search backend: providers answer on loopback in the shapes that their documentation shows."""

import asyncio
import pickle
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from loopback import loopback

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import InputError, ToolDenied, ToolError
from fireact_ray.core.types import Hit
from fireact_ray.recipe.search import open_backend

pytestmark = pytest.mark.slow

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


@pytest.fixture(params=[*CASES, *LOCAL])
def kind(request):
    return request.param


async def test_the_best_hits_come_first_and_no_more_than_asked_for(kind, tmp_path, monkeypatch):
    async with opened(kind, tmp_path, monkeypatch) as (backend, _):
        hits = await backend.search(QUERY, 5)
        if kind in LOCAL:
            assert [hit.text for hit in hits] == ["Lake Tarn is 410 m deep."]
        else:
            assert hits == CASES[kind].hits
        assert await backend.search(QUERY, 1) == hits[:1]


async def test_nothing_found_is_no_hits(kind, tmp_path, monkeypatch):
    answer = None if kind in LOCAL else lambda _: web.json_response(CASES[kind].empty)
    async with opened(kind, tmp_path, monkeypatch, answer) as (backend, _):
        assert await backend.search("zzz unheard of", 3) == []
        assert (await SearchTool(backend)("zzz unheard of")).text == "No results found."


@pytest.mark.parametrize("query", ["", "   ", "\ud800", "\x00", "a" * 5000, "50% [x] & y=#?", "\u202e\U0001f600"])
async def test_any_query_is_answered(kind, query, tmp_path, monkeypatch):
    async with opened(kind, tmp_path, monkeypatch) as (backend, _):
        assert isinstance(await backend.search(query, 3), list)


async def test_the_fingerprint_names_what_is_searched_and_nothing_else(kind, tmp_path, monkeypatch):
    async with opened(kind, tmp_path, monkeypatch) as (backend, _):
        assert backend.fingerprint.startswith(f"{kind}-")
        assert KEY not in backend.fingerprint


@pytest.mark.parametrize("provider", CASES)
async def test_queries_and_keys_go_where_the_provider_wants_them(provider, tmp_path, monkeypatch):
    case = CASES[provider]
    async with opened(provider, tmp_path, monkeypatch) as (backend, server):
        await backend.search(QUERY, 3)
    (asked,) = server.asked
    assert asked["path"] == case.path
    assert QUERY in [*asked["query"].values(), *(asked["body"] or {}).values()] or asked["body"]["queries"] == [QUERY]
    if case.key_in:
        part, name = case.key_in.split(":")
        assert asked[part][name].removeprefix("Bearer ") == KEY
    assert [part for part in asked if KEY in str(asked[part])] == [case.key_in.split(":")[0]][: bool(case.key_in)]


@pytest.mark.parametrize("provider", CASES)
async def test_an_opened_backend_pickles_without_its_key_and_works_again(provider, tmp_path, monkeypatch):
    async with opened(provider, tmp_path, monkeypatch) as (backend, _):
        await backend.search(QUERY, 1)
        pickled = pickle.dumps(backend)
        assert KEY.encode() not in pickled
        copy = pickle.loads(pickled)  # noqa: S301  (our own bytes)
        assert copy.fingerprint == backend.fingerprint
        assert await copy.search(QUERY, 1) == CASES[provider].hits[:1]
        await copy.close()


SHAPES = [[], "text", 7, None, {}, {"result": [7]}, {"organic": {"a": 1}}, {"results": [None, {"title": 1}]}]
SHAPES += [{"web": []}, {"query": {"pages": {"1": 2}}}, {"organic_results": [[]], "answer_box": ["x"]}]
READ = {
    ("retrieve", "[]"): [],
    ("serpapi", "{'organic_results': [[]], 'answer_box': ['x']}"): [Hit("", "x")],
    ("tavily", "{'results': [None, {'title': 1}]}"): [Hit("", "1")],
}


@pytest.mark.parametrize("provider", CASES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
async def test_a_reply_of_another_shape_is_read_or_is_a_tool_error(provider, shape, tmp_path, monkeypatch):
    async with opened(provider, tmp_path, monkeypatch, lambda _: web.json_response(shape)) as (backend, _):
        if (provider, str(shape)) in READ:
            assert await backend.search(QUERY, 3) == READ[provider, str(shape)]
        else:
            with pytest.raises(ToolError, match=r"not an object|the reply holds none of|no text can be read"):
                await backend.search(QUERY, 3)


@pytest.mark.parametrize("provider", CASES)
async def test_a_refused_key_stops_the_run_and_is_not_tried_again(provider, tmp_path, monkeypatch):
    async with opened(provider, tmp_path, monkeypatch, lambda _: web.Response(status=401)) as (backend, server):
        with pytest.raises(ToolDenied, match=rf"^The search provider '{provider}' refuses every search \(HTTP 401\)"):
            await SearchTool(backend)(QUERY)
    assert len(server.asked) == 1


@pytest.mark.parametrize("provider", [name for name in CASES if CASES[name].key_in])
def test_a_missing_key_is_found_before_the_first_search(provider, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(
        InputError, match=rf"The search '{provider}' reads its key from the environment variable NO_SUCH"
    ):
        open_backend(config(provider, "http://127.0.0.1:1", api_key_env="NO_SUCH_KEY"))


@pytest.mark.parametrize(
    ("box", "shown"),
    [
        ({"answer": "410 m", "snippet": "s", "snippet_highlighted_words": ["h"]}, "410 m"),
        ({"snippet": "It is 410 m deep.", "snippet_highlighted_words": ["h"]}, "It is 410 m deep."),
        ({"snippet_highlighted_words": ["410 m deep", "x"]}, "410 m deep"),
        ({"type": "calculator"}, "Tarn is a lake in Orr."),
        (None, "Tarn is a lake in Orr."),
    ],
)
async def test_serpapi_is_read_in_fireacts_order(box, shown, tmp_path, monkeypatch):
    reply = {**SERPAPI, "answer_box": box} if box else {k: v for k, v in SERPAPI.items() if k != "answer_box"}
    async with opened("serpapi", tmp_path, monkeypatch, lambda _: web.json_response(reply)) as (backend, _):
        assert (await SearchTool(backend)(QUERY)).text == shown


@pytest.mark.parametrize(
    ("provider", "reply", "problem"),
    [
        ("serpapi", {"search_metadata": {"status": "Error"}, "error": "given up"}, "the reply is an error: given up"),
        ("wikipedia", {"error": {"code": "badvalue", "info": "x"}}, "an error badvalue: x"),
    ],
)
async def test_failures_reported_with_http_200_are_tool_errors(provider, reply, problem, tmp_path, monkeypatch):
    async with opened(provider, tmp_path, monkeypatch, lambda _: web.json_response(reply)) as (backend, _):
        with pytest.raises(ToolError, match=problem):
            await backend.search(QUERY, 1)


@pytest.mark.parametrize(
    ("status", "text"), [(429, "Your account has run out of searches."), (400, "Not enough credits"), (432, "")]
)
async def test_a_plan_that_is_used_up_stops_the_run(status, text, tmp_path, monkeypatch):
    answer = lambda _: web.Response(status=status, text=text)  # noqa: E731
    async with opened("serper", tmp_path, monkeypatch, answer) as (backend, server):
        with pytest.raises(ToolDenied, match=rf"refuses every search \(HTTP {status}.*{text}"):
            await backend.search(QUERY, 1)
    assert len(server.asked) == 1


async def test_a_retrieval_server_may_give_documents_bare(tmp_path, monkeypatch):
    reply = {"result": [[{"contents": "Lake Tarn\nIt is deep."}, {"document": {"title": "Orr", "text": "Lakes."}}]]}
    async with opened("retrieve", tmp_path, monkeypatch, lambda _: web.json_response(reply)) as (backend, _):
        assert await backend.search(QUERY, 2) == [Hit("Lake Tarn", "It is deep."), Hit("Orr", "Lakes.")]


async def test_a_backend_outlives_an_event_loop(tmp_path, monkeypatch):
    async with opened("tavily", tmp_path, monkeypatch) as (backend, _):
        await backend.search(QUERY, 1)

        def elsewhere():
            async def search_and_close():
                hits = await copy.search(QUERY, 1)
                await copy.close()
                return hits

            copy = pickle.loads(pickle.dumps(backend))  # noqa: S301
            return asyncio.run(search_and_close()), asyncio.run(search_and_close())

        first, second = await asyncio.to_thread(elsewhere)
        assert first == second == CASES["tavily"].hits[:1]
