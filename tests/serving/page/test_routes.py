"""The page over ASGI: one answer, a policy that allows exactly what is ours, and no way of making markup from text."""

import re

import httpx
import pytest
from elements import Elements, allowed_by, hash_of
from fakes import agent

from fireact_ray.serving.app import build_app
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.page.offer import Example, Offer
from fireact_ray.serving.settings import ServingSettings

SETTINGS = ServingSettings(page=Offer("almanac", (Example("2hop", "Is Tarn deeper than Orrin?"),)))
KEY = {"authorization": "Bearer right"}


@pytest.fixture
async def client():
    """Of a server that wants a key."""
    transport = httpx.ASGITransport(build_app({"fireact/x": agent()}, SETTINGS, Keys.of({"me": "right"})))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as found:
        yield found


async def test_the_policy_allows_our_style_and_script_and_calls_to_this_server_alone(client):
    reply = await client.get("/")
    elements = Elements(reply.text)
    assert allowed_by(reply.headers["content-security-policy"]) == {
        "default-src": "'none'",
        "style-src": hash_of(elements.named("style")[0][1]),
        "script-src": hash_of(elements.named("script")[0][1]),
        "img-src": "data:",
        "connect-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["content-type"] == "text/html; charset=utf-8"


async def test_the_page_names_no_other_file_and_makes_no_markup_from_text(client):
    elements = Elements((await client.get("/")).text)
    named = [about for _, about in elements.tags if {"src", "href", "srcset", "style"} & set(about)]
    assert [(about["rel"], about["href"][:19]) for about in named] == [("icon", "data:image/svg+xml,")]
    script = elements.named("script")[0][1]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|XMLHttp|https?:|localStorage|cookie",
        script,
    )
    assert "url(" not in elements.named("style")[0][1]


async def test_the_page_says_nothing_of_what_is_served_before_anybody_is_known(client):
    text = (await client.get("/")).text
    assert "almanac" not in text
    assert "Tarn" not in text


async def test_a_page_that_a_browser_has_is_not_sent_again(client):
    etag = (await client.get("/")).headers["etag"]
    again = await client.get("/", headers={"if-none-match": etag})
    assert (again.status_code, again.text) == (304, "")
    assert "content-security-policy" in again.headers
    assert (await client.get("/", headers={"if-none-match": '"another"'})).status_code == 200


async def test_what_is_offered_is_told_to_whoever_has_a_key(client):
    assert (await client.get("/v1/page")).status_code == 401
    reply = await client.get("/v1/page", headers=KEY)
    assert reply.json() == {"title": "almanac", "examples": [{"kind": "2hop", "text": "Is Tarn deeper than Orrin?"}]}
    assert reply.headers["cache-control"] == "no-store"


async def test_the_page_is_read_and_not_written_to(client):
    assert (await client.head("/")).status_code == 200
    assert (await client.post("/", json={}, headers=KEY)).status_code == 405
