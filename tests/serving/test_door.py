"""What stands in a replica, before its application."""

import httpx

from fireact_ray.serving.door import Door


async def answering(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def test_a_door_that_is_closed_takes_no_question_still_tells_its_health_and_every_reply_whose_it_is():
    is_open = True
    door = httpx.ASGITransport(Door(answering, lambda: is_open, "fireact"))
    async with httpx.AsyncClient(transport=door, base_url="http://replica") as client:
        asked = await client.post("/v1/responses")
        is_open = False
        late, health = await client.post("/v1/responses"), await client.get("/healthz")
    assert [reply.status_code for reply in (asked, late, health)] == [200, 503, 200]
    assert late.headers["retry-after"] == "2"
    assert {reply.headers["x-fireact-app"] for reply in (asked, late, health)} == {"fireact"}
