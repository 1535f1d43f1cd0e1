"""What a replica is asked through, with what Ray Serve hands to it."""

import asyncio

import pytest
from ray.serve._private.http_util import ASGIReceiveProxy

from fireact_ray.serving.edge import BODY, Door

pytestmark = pytest.mark.ray  # which this imports


@pytest.mark.parametrize(("carried", "asked"), [({BODY: b"{}"}, 0), ({}, 1)])
async def test_a_proxy_is_not_asked_for_what_it_sends_along_and_tells_anyway(carried, asked):
    calls, heard = [], []

    async def ask_the_proxy(request):
        calls.append(request)
        await asyncio.Event().wait()

    async def replica(scope, receive, send):
        await asyncio.sleep(0)
        heard.append(await receive() if BODY in carried else None)

    scope = {"type": "http", "method": "POST", "path": "/v1/responses", **carried}
    receive = ASGIReceiveProxy(scope, None, ask_the_proxy)
    fetching = asyncio.create_task(receive.fetch_until_disconnect())  # as Serve does, before it calls the application
    await Door(replica, lambda: True)(scope, receive, None)
    fetching.cancel()
    assert (len(calls), heard[0] is not None) == (asked, BODY in carried)
