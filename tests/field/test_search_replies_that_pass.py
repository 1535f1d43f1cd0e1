"""An error that is told with HTTP 200 and will be gone soon is tried again, as a 503 is."""

import time

import pytest
from searching import searched

from fireact_ray.agent.tools.web.refusals import error_within, passes
from fireact_ray.core.errors import ToolDenied, ToolError

PAGE = {"query": {"pages": [{"title": "Lake Tarn", "index": 1, "extract": "It is 410 m deep."}]}}

PASSING = [
    {"error": {"code": "cirrussearch-too-busy-error", "info": "Search is currently too busy. Please try again later."}},
    {"error": {"code": "ratelimited", "info": "You've exceeded your rate limit."}},
    {"error": {"code": "maxlag", "info": "Waiting for db1: 6 seconds lagged.", "lag": 6}},
    {"error": {"code": "readonly", "info": "The wiki is currently in read-only mode."}},
    {"error": {"code": "internal_api_error_DBQueryError", "info": "[x] Caught exception"}},
    {"error": {"code": "cirrussearch-backend-error", "info": "We could not complete your search."}},
    {"error": True, "message": "Exception occurred when connecting to server on port 2172: Cannot connect to host"},
    {"error": "We couldn't get valid results for this search. Please try again later."},
    {"message": "Service temporarily unavailable", "statusCode": 503},
    {"success": False, "message": "upstream timed out"},
]
LASTING = [
    {"error": {"code": "badvalue", "info": "Unrecognized value."}},
    {"error": {"code": "cirrussearch-query-too-long", "info": "Too long."}},
    {"error": "Unsupported `zz` country."},
    {"message": "Query not allowed", "statusCode": 400},
]


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_a_passing_error_is_known_by_its_code_or_its_words(error):
    assert passes(error_within(error))


@pytest.mark.parametrize("error", LASTING, ids=str)
def test_an_error_that_would_come_again_is_not(error):
    assert not passes(error_within(error))


async def test_a_busy_wiki_is_asked_again():
    searching = await searched("wikipedia", PASSING[0], PAGE)
    assert (searching.texts, len(searching.asked)) == (["Lake Tarn: It is 410 m deep."], 2)


async def test_a_wiki_that_stays_busy_is_an_error_after_the_last_attempt():
    searching = await searched("wikipedia", PASSING[0])
    assert isinstance(searching.found, ToolError)
    assert not isinstance(searching.found, ToolDenied)
    assert str(searching.found).endswith("Please try again later. (after 2 attempts)")
    assert len(searching.asked) == 2


async def test_the_wait_that_the_server_asks_for_is_kept_also_with_a_200():
    started = time.monotonic()
    searching = await searched("wikipedia", (PASSING[2], {"Retry-After": "0.2"}), PAGE)
    assert searching.texts == ["Lake Tarn: It is 410 m deep."]
    assert time.monotonic() - started >= 0.2


async def test_a_retrieval_server_that_lost_its_index_for_a_moment_is_asked_again():
    searching = await searched("retrieve", PASSING[6], {"topk": [{"text": "It is 410 m deep."}]})
    assert searching.texts == ["It is 410 m deep."]
