"""One contract for every search backend."""

import asyncio
import pickle

import pytest
from aiohttp import web
from search_backends import (
    CASES,
    KEY,
    LOCAL,
    QUERY,
    SERPAPI,
    config,
    opened,
)

from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import InputError, ToolDenied, ToolError
from fireact_ray.core.types import Hit
from fireact_ray.recipe.search import open_backend

pytestmark = pytest.mark.slow


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
