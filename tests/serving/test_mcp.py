"""The MCP server with the official SDK's own client, over real HTTP. Skipped without the SDK, but for saying so."""

import sys

import httpx
import pytest
from fakes import TEXTS, DictBackend
from served import ASKED, MODEL, EndlessModel, by, listening

from fireact_ray.core.errors import InputError, ToolDenied
from fireact_ray.serving.app import build_app
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.settings import Access, Hooks, ServingSettings


def test_without_the_sdk_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    for name in [name for name in sys.modules if name.startswith("mcp.") or name.endswith("serving.mcp_server")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=r"fireact-ray\[mcp\]"):
        build_app({MODEL: by(EndlessModel())}, ServingSettings(mcp=True))


class Denying(DictBackend):
    async def search(self, query, k):
        if query == "denied":
            raise ToolDenied("secret words of a provider")
        return await super().search(query, k)


@pytest.fixture
def url():
    pytest.importorskip("mcp")
    app = build_app({MODEL: by(EndlessModel())}, ServingSettings(mcp=True), search=Denying(TEXTS))
    with listening(app, lifespan="on") as url:
        yield f"{url}/mcp"


async def test_a_client_lists_and_calls_both_tools(url):
    from mcp import Client

    async with Client(url) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"ask", "search"}
        assert "context" not in str(tools["ask"].input_schema)
        assert MODEL in tools["ask"].description
        answer = (await client.call_tool("ask", {"question": ASKED})).structured_content
        assert (answer["answer"], answer["n_searches"]) == ("Ila Dun", 1)
        hits = (await client.call_tool("search", {"query": "The Road to Zem author"})).structured_content["hits"]
        assert [hit["text"] for hit in hits] == ["The Road to Zem is a novel by Ila Dun."]


async def test_what_goes_wrong_is_an_error_of_the_tool_in_our_words(url):
    from mcp import Client

    async with Client(url) as client:
        for name, given, said in [
            ("search", {"query": "denied"}, "refuses its key"),
            ("search", {"query": "x" * 2_001}, "2000"),
            ("search", {"query": "x", "n": 0}, "greater than or equal to 1"),
            ("search", {"query": "x", "n": 21}, "less than or equal to 20"),
            ("ask", {"question": " "}, "asks something"),
            ("ask", {"question": ASKED, "model": "gpt"}, "not served here"),
            ("search", {"query": "down"}, "unavailable"),
        ]:
            result = await client.call_tool(name, given)
            assert result.is_error, name
            assert said in result.content[0].text, name
            assert "secret" not in result.content[0].text


async def test_it_stands_behind_the_same_guard():
    pytest.importorskip("mcp")
    seen: list[Access] = []
    keys, hooks = Keys.of({"a": "fr-0123456789"}), Hooks(on_access=seen.append)
    app = build_app({MODEL: by(EndlessModel())}, ServingSettings(mcp=True), keys, hooks=hooks)
    with listening(app, lifespan="on") as url:
        async with httpx.AsyncClient() as http:
            for method in ("GET", "POST", "DELETE"):
                assert (await http.request(method, f"{url}/mcp")).status_code == 401
            evil = {"host": "evil.example", "authorization": "Bearer fr-0123456789"}
            assert (await http.post(f"{url}/mcp", headers=evil)).status_code == 400
            known = {"authorization": "Bearer fr-0123456789", "accept": "application/json, text/event-stream"}
            call = {"jsonrpc": "2.0", "id": 1, "method": "nothing of this name"}
            await http.post(f"{url}/mcp", headers=known, json=call)
    assert (seen[-1].path, seen[-1].key) == ("/mcp", "a")
