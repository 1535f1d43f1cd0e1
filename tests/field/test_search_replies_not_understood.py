"""A reply in which nothing is read and which does not say that nothing was found is an error, never "No results"."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from fireact_ray.agent.tools.cache import CachingBackend
from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.agent.tools.web.opening import _provider
from fireact_ray.agent.tools.web.reading import facts, reply_object, unread
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.types import Hit

PROVIDERS = ("serpapi", "serper", "tavily", "brave", "wikipedia", "retrieve")
OK = {"search_metadata": {"status": "Success"}}

UNKNOWN = {
    "serpapi": {**OK, "search_information": {"total_results": 12}, "immersive_products": [{"title": "A lake"}]},
    "serper": {"searchParameters": {"q": "x"}, "relatedSearches": [{"query": "y"}], "credits": 1},
    "tavily": {"query": "x", "failed_results": [], "follow_up_questions": None, "results": None},
    "brave": {"type": "search", "query": {"original": "x"}, "grid": {"results": [{"title": "t"}]}, "web": None},
    "wikipedia": {"parse": {"text": "Lake Tarn"}},
    "retrieve": {"answer": "410 m", "status": "done"},
}


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_a_reply_without_a_known_section_says_which_were_looked_for_and_which_keys_it_has(kind, caplog):
    caplog.set_level(logging.WARNING)
    found = (await searched(kind, UNKNOWN[kind])).found
    assert isinstance(found, ToolError)
    assert str(found).startswith(f"The search provider '{kind}': the reply holds none of ")
    assert str(found).endswith(f"keys seen {', '.join(UNKNOWN[kind])}")
    assert [record.getMessage() for record in caplog.records] == [str(found)]


@pytest.mark.parametrize(
    ("kind", "reply", "said"),
    [
        ("serpapi", {**OK, "organic_results": [], "ai_overview": {"page_token": "abc"}}, "the reply's ai_overview"),
        ("serper", {"organic": [{"link": "https://a.example", "position": 1}]}, "the reply's organic"),
        ("tavily", {"results": [{"url": "https://a.example", "score": 0.5}]}, "the reply's results"),
        ("brave", {"web": {"results": [{"url": "https://a.example"}]}}, "the reply's web.results"),
        # a wiki without the extension that makes extracts
        ("wikipedia", {"warnings": {}, "query": {"pages": [{"title": "Lake Tarn", "index": 1}]}}, "query.pages"),
        ("retrieve", {"result": [[{"id": 7, "score": 0.5}]]}, "the reply's result"),
    ],
)
async def test_results_without_a_text_are_not_nothing_found(kind, reply, said):
    found = (await searched(kind, reply)).found
    assert isinstance(found, ToolError)
    assert "no text can be read in " in str(found)
    assert said in str(found)


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("serpapi", {**OK, "error": "Google hasn't returned any results for this query."}),
        ("serpapi", {**OK, "search_information": {"organic_results_state": "Fully empty"}}),  # mobile tells no error
        ("serpapi", {**OK, "organic_results": []}),
        ("serper", {"searchParameters": {"q": "x"}, "organic": []}),
        ("serper", {"organic": [], "peopleAlsoAsk": [], "relatedSearches": [{"query": "y"}], "answerBox": None}),
        ("tavily", {"query": "x", "answer": None, "results": [], "follow_up_questions": None}),
        ("tavily", {"query": "x", "answer": "", "results": []}),
        ("brave", {"type": "search", "query": {"original": "x"}}),
        ("brave", {"type": "search", "query": {"original": "x"}, "mixed": {"main": []}, "web": None}),
        ("brave", {"type": "search", "web": {"type": "search", "results": []}}),
        ("wikipedia", {"batchcomplete": True}),
        ("wikipedia", {"batchcomplete": ""}),  # formatversion 1
        ("retrieve", {"result": [[]]}),
        ("retrieve", {"results": []}),
        ("retrieve", []),
    ],
)
async def test_a_reply_that_says_that_nothing_was_found_is_believed(kind, reply):
    assert (await searched(kind, reply)).found == []


@pytest.mark.parametrize(
    ("kind", "reply", "said"),
    [
        ("serper", {"message": "Internal problem", "statusCode": 422}, "the reply is an error: Internal problem"),
        ("wikipedia", {"error": {"code": "badvalue", "info": "No such list."}}, "an error badvalue: No such list."),
        ("retrieve", {"error": True, "message": "index not loaded"}, "the reply is an error: index not loaded"),
        ("retrieve", {"success": False, "message": "index not loaded"}, "the reply is an error: index not loaded"),
        ("tavily", {"detail": {"error": "Query is too long."}}, "the reply is an error: Query is too long."),
    ],
)
async def test_an_error_told_with_a_200_is_told_in_the_providers_words(kind, reply, said):
    searching = await searched(kind, reply)
    assert isinstance(searching.found, ToolError)
    assert said in str(searching.found)
    assert len(searching.asked) == 1


@pytest.mark.parametrize(
    ("kind", "reply", "status"),
    [
        ("serpapi", {"error": "Your account has run out of searches."}, 200),
        ("serpapi", {"error": "We couldn't find your API Key."}, 200),
        ("serpapi", {"error": "Invalid API key. Your API key should be here: https://a.example"}, 200),
        ("serper", {"message": "Unauthorized.", "statusCode": 403}, 200),
        ("serper", {"message": "Unauthorized.", "statusCode": 403}, 403),
        ("serper", {"message": "Not enough credits", "statusCode": 400}, 200),
        ("serper", {"message": "Not enough credits", "statusCode": 400}, 400),
    ],
)
async def test_a_key_or_plan_refused_with_any_status_stops_the_run(kind, reply, status):
    searching = await searched(kind, reply, status=status)
    assert isinstance(searching.found, ToolDenied)
    assert len(searching.asked) == 1


class Answering:
    """A backend that answers with a provider's reading of the next reply."""

    fingerprint = "answering"

    def __init__(self, *answers):
        self.answers = list(answers)

    async def search(self, query, k):
        answer = self.answers.pop(0)
        if isinstance(answer, ToolError):
            raise answer
        return answer

    async def close(self):
        pass


async def test_what_was_not_understood_is_asked_again(tmp_path):
    cache = CachingBackend(Answering(ToolError("no text can be read"), [Hit("", "410 m")]), tmp_path / "c.sqlite3")
    with pytest.raises(ToolError):
        await cache.search("tarn", 1)
    assert await cache.search("tarn", 1) == await cache.search("tarn", 1) == [Hit("", "410 m")]
    await cache.close()


async def test_a_cache_of_before_forgets_what_it_kept_as_nothing_found_once(tmp_path, caplog):
    path = tmp_path / "c.sqlite3"
    old = CachingBackend(Answering([], [Hit("", "410 m")]), path)
    await old.search("tarn", 1)
    await old.search("orr", 1)
    old._store.execute("PRAGMA user_version = 0")
    await old.close()
    new = CachingBackend(Answering([]), path)
    assert await new.search("orr", 1) == [Hit("", "410 m")]
    assert await new.search("tarn", 1) == []  # asked again, and kept from now on
    await new.close()
    again = CachingBackend(Answering(), path)
    assert await again.search("tarn", 1) == []
    await again.close()
    assert [record.getMessage().split(": ")[1].split(" by")[0] for record in caplog.records] == [
        "1 searches were kept as 'nothing found'"
    ]


KEYS = st.text(max_size=4) | st.sampled_from(
    [
        *("result", "organic", "organic_results", "answer", "answer_box", "answerBox", "knowledge_graph", "query"),
        *("knowledgeGraph", "web", "results", "pages", "infobox", "document", "contents", "text", "title", "snippet"),
        *("attributes", "list", "extract", "index", "error", "score"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", PROVIDERS)
@given(reply=JSON)
def test_no_reply_raises_anything_but_a_tool_error_and_hits_are_texts(kind, reply):
    provider = _provider(SearchConfig.model_validate({"backend": {"kind": kind}}).backend)
    try:
        opened = reply_object(reply, "p", provider.bare_list)
    except ToolError:
        return
    hits = provider.hits(opened)
    assert all(isinstance(hit.title, str) and isinstance(hit.text, str) for hit in hits)
    assert isinstance(provider.finds_nothing(opened), bool)
    assert isinstance(unread(opened, provider.sections), str | None)
    assert isinstance(facts(reply), str)
