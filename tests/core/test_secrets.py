"""Keys: where they are read, and that they appear nowhere else, whatever goes wrong."""

import asyncio
import html
import logging
import pickle
import subprocess
import sys
import traceback
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from loopback import loopback

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.openai import OpenAIChat
from fireact_ray.agent.models.retry import Retrying, RetryPolicy
from fireact_ray.agent.tools.web.backend import WebBackend
from fireact_ray.agent.tools.web.http import HttpPolicy
from fireact_ray.agent.tools.web.serpapi import SerpApi
from fireact_ray.core import secrets
from fireact_ray.core.errors import FireActError, InputError
from fireact_ray.core.net.provider_errors import one_line
from fireact_ray.core.secrets import ApiKey, RedactingFilter, read_api_key, redact, remember
from fireact_ray.core.types import Turn
from fireact_ray.recipe.loader import load_recipe, to_yaml
from fireact_ray.recipe.search import open_backend

pytestmark = pytest.mark.slow

CANARY = "CANARY/7xq3+1c9e=4b2d"  # with characters that a URL and a form spell differently
PART = "7xq3"  # no hexadecimal digits alone: the address of an object may hold any of these
SPELLINGS = (CANARY, "CANARY%2F7xq3%2B1c9e%3D4b2d", "CANARY/7xq3%2B1c9e%3D4b2d", PART)


def test_a_missing_key_names_its_variable_or_file(monkeypatch, tmp_path):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(InputError, match="the environment variable NO_SUCH_KEY, which is not set"):
        read_api_key("NO_SUCH_KEY", None, "The model 'm'")
    with pytest.raises(InputError, match="missing or empty"):
        read_api_key(None, str(tmp_path / "key"), "The model 'm'")
    (tmp_path / "key").write_text("abc\n")
    assert read_api_key(None, str(tmp_path / "key"), "The model 'm'") == "abc"


@pytest.mark.parametrize("content", ["line one\nline two", "key: abc", "abc\x00def"])
def test_a_key_file_that_holds_more_than_a_key_is_refused_unrepeated(content, tmp_path):
    (tmp_path / "key").write_text(content)
    with pytest.raises(InputError, match="which holds more than a key") as caught:
        read_api_key(None, str(tmp_path / "key"), "The model 'm'")
    assert content not in str(caught.value)


def test_a_key_that_was_read_is_masked_as_it_is_and_as_urls_spell_it():
    remember("s3cret/with+signs")
    text = "a s3cret/with+signs b s3cret%2Fwith%2Bsigns c"
    assert redact(text) == "a [redacted] b [redacted] c"


@pytest.mark.parametrize("shown", ["wily***", "wily-fox...9999", "wily\u2026", "wily-fox-888", "wily-fox-8888-99"])
def test_a_part_of_a_key_that_was_read_is_masked_too(shown):
    remember("wily-fox-8888-9999")
    assert redact(f"the key {shown} is wrong") == "the key [redacted] is wrong"
    assert redact("a wily fox, wily-fox: 9") == "a wily fox, wily-fox: 9"


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60),
    st.sampled_from([str, quote, quote_plus, html.escape]),
    st.text(max_size=400),
    st.text(max_size=400),
)
def test_whatever_stands_around_a_key_its_line_does_not_hold_it(key, spelt, before, after):
    key = f"Kq7-{key}"
    with pytest.MonkeyPatch.context() as patch:  # what is known stays known: not for the other tests
        patch.setattr(secrets, "_known", set())
        patch.setattr(secrets, "_known_parts", {})
        remember(key)
        assert spelt(key)[:10] not in one_line(f"{before} {spelt(key)} {after}")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "GET https://serpapi.com/search.json?q=x&api_key=0123&hl=en",
            "GET https://serpapi.com/search.json?q=x&api_key=[redacted]&hl=en",
        ),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"),
        ("redis://user:pw@host:6379/0", "redis://[redacted]@host:6379/0"),
        ("Incorrect API key provided: sk-test-***6789.", "Incorrect API key provided: [redacted]."),
        ("Your api key: ****6789 is invalid", "Your api key: [redacted] is invalid"),
        ("key gsk_0123456789abcdef, or sk-proj-01%2B23456789", "key [redacted], or [redacted]"),
        ("task-management, sk-learn and 2**3", "task-management, sk-learn and 2**3"),
        ("nothing to hide: token economy, key=value", "nothing to hide: token economy, key=value"),
    ],
)
def test_what_stands_where_secrets_stand_is_masked_unknown_as_it_is(text, masked):
    assert redact(text) == masked


async def timeout(_):
    await asyncio.sleep(30)
    return web.Response()


def echo(status):
    """A provider that repeats the whole request, key and all, as some do."""

    async def answer(request):
        return web.Response(status=status, text=f"{request.url} {dict(request.headers)}", headers={"Retry-After": "0"})

    return answer


FAILURES = {
    "bad request": echo(400),
    "key refused": echo(401),
    "forbidden": echo(403),
    "not found": echo(404),
    "rate limit": echo(429),
    "server error": echo(500),
    "redirect": echo(302),
    "not JSON": echo(200),
    "reset": "reset",
    "hang": timeout,
    "reported error": web.json_response({"search_metadata": {"status": "Error"}, "error": CANARY}),
    "wrong shape": web.json_response([CANARY]),
}


def leaks(*texts: str) -> list[str]:
    return [text for text in texts for spelling in SPELLINGS if spelling in text]


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_canary_appears_in_no_error_log_line_or_pickle(failure, monkeypatch, caplog):
    monkeypatch.setenv("CANARY_API_KEY", CANARY)
    policy = HttpPolicy(timeout_s=1.0 if failure == "hang" else 30.0, max_attempts=2, first_delay_s=0.01)
    with caplog.at_level(logging.DEBUG):
        async with loopback(lambda _: FAILURES[failure]) as server:
            backend = WebBackend(SerpApi(server.url, "us", "en"), ApiKey("CANARY_API_KEY", None, "The search"), policy)
            with pytest.raises(FireActError) as caught:
                await backend.search("q", 1)
            await backend.close()
    assert server.asked[0]["query"]["api_key"] == CANARY  # it did go to the provider, in the URL
    ours = [
        record.getMessage() for record in caplog.records if record.name.startswith(("fireact_ray", "aiohttp.client"))
    ]
    chain = "".join(traceback.format_exception(caught.value, chain=True))
    assert leaks(str(caught.value), repr(caught.value), chain, *ours) == []
    assert leaks(*(pickle.dumps(thing).decode("latin-1") for thing in (backend, caught.value))) == []
    assert leaks(repr(backend), repr(vars(backend)), backend.fingerprint) == []


@pytest.mark.parametrize(
    "failure", ["bad request", "key refused", "forbidden", "rate limit", "server error", "reset", "not found"]
)
async def test_a_canary_appears_in_no_error_of_the_teacher(failure, monkeypatch):
    monkeypatch.setenv("CANARY_API_KEY", CANARY)
    once = RetryPolicy(max_attempts=1)
    async with loopback(lambda _: FAILURES[failure]) as server:
        key = read_api_key("CANARY_API_KEY", None, "The model")
        chat = Retrying(OpenAIChat("m", base_url=f"{server.url}/v1", api_key=key, timeout_s=30), once)
        with pytest.raises(FireActError) as caught:
            await chat.complete([Turn("user", "q")], Sampling())
        await chat.close()
    assert leaks(str(caught.value), "".join(traceback.format_exception(caught.value))) == []


def test_a_canary_appears_in_no_recipe(monkeypatch):
    monkeypatch.setenv("SERPAPI_API_KEY", CANARY)
    recipe = load_recipe("demo", ["search.backend={kind: serpapi}", "search.rate.per_second=5"])
    backend = open_backend(recipe.search)
    pickled = pickle.dumps((recipe, backend)).decode("latin-1")
    assert leaks(to_yaml(recipe), repr(recipe), pickled, str(recipe.search.shaping())) == []
    assert "SERPAPI_API_KEY" in to_yaml(recipe)


def test_a_recipe_that_holds_a_key_is_refused_without_repeating_it(monkeypatch):
    monkeypatch.setenv("CANARY_API_KEY", CANARY)
    read_api_key("CANARY_API_KEY", None, "The search")
    url = f"https://serpapi.example/?api_key={CANARY}"
    for override in (f"search.backend={{kind: serpapi, api_key: '{CANARY}'}}", "search.rate.per_second=" + CANARY):
        with pytest.raises(InputError) as caught:
            load_recipe("demo", [override])
        assert leaks(str(caught.value)) == []
    for section, named in (("search.backend", "kind: serpapi"), ("teacher.model", "kind: openai, name: m")):
        with pytest.raises(InputError, match="an address holds no user, password or query") as caught:
            load_recipe("demo", [f"{section}={{{named}, base_url: '{url}'}}"])
        assert leaks(str(caught.value)) == []


def test_the_log_filter_masks_messages_arguments_and_tracebacks(capsys):
    remember(CANARY)
    logger = logging.getLogger("test_secrets")
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(RedactingFilter())
    logger.addHandler(handler)
    try:
        logger.warning("asked %s", f"https://x/?api_key={CANARY}")
        try:
            raise RuntimeError(f"no answer from https://x/?key={CANARY}")
        except RuntimeError:
            logger.exception("failed with %s", CANARY)
    finally:
        logger.removeHandler(handler)
    out = capsys.readouterr().out
    assert leaks(out) == []
    assert out.startswith("asked https://x/?api_key=[redacted]\nfailed with [redacted]\nTraceback")
    assert out.endswith("RuntimeError: no answer from https://x/?key=[redacted]\n")


def test_every_way_in_masks_the_variables_that_are_named_like_secrets():
    code = (
        "import logging\n"
        "from fireact_ray.cli.main import run_guarded\n"
        "from fireact_ray.core.errors import InputError\n"
        "def act():\n"
        f"    logging.getLogger('other').warning('at %s', '{CANARY}')\n"
        f"    raise InputError('found {CANARY}')\n"
        "run_guarded(act)\n"
    )
    env = {"SOME_API_KEY": CANARY, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 2
    assert leaks(done.stdout, done.stderr) == []
    assert done.stderr.count("[redacted]") == 2
