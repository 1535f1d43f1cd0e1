"""The page over ASGI: one answer, a policy that allows exactly what is ours, and no way of making markup from text."""

import re

import httpx
import pytest
from elements import Elements, allowed_by, hash_of
from starlette.applications import Starlette

from fireact_ray.serving.page.offer import Example, Offer
from fireact_ray.serving.page.routes import page_routes

OFFER = Offer("almanac", (Example("2hop", "Is Tarn deeper than Orrin?"),), ("none", "error"))


@pytest.fixture
async def client():
    transport = httpx.ASGITransport(Starlette(routes=page_routes(OFFER)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as found:
        yield found


async def test_the_policy_allows_our_style_and_script_and_calls_to_this_server_alone(client):
    reply = await client.get("/")
    elements = Elements(reply.text)
    assert allowed_by(reply.headers["content-security-policy"]) == {
        "default-src": "'none'",
        "style-src": hash_of(elements.named("style")[0][1]),
        "script-src": hash_of(elements.named("script")[0][1]),
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
    assert not [about for _, about in elements.tags if {"src", "href", "srcset", "style"} & set(about)]
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


async def test_what_is_offered_is_told(client):
    reply = await client.get("/page/offer")
    assert reply.json() == {
        "title": "almanac",
        "examples": [{"kind": "2hop", "text": "Is Tarn deeper than Orrin?"}],
        "faults": ["none", "error"],
    }
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/page/offer"])
async def test_the_page_is_read_and_not_written_to(client, path):
    assert (await client.post(path)).status_code == 405
