import asyncio

import pytest
from served import CHAT, MODEL, RESPONSES, EndlessModel, StuckModel, by, client

from fireact_ray.serving.admission import Admission
from fireact_ray.serving.errors import ApiError
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.settings import ServingSettings

KEYS = Keys.of({"alice": "fr-alice", "bob": "fr-bob"})


def test_a_key_has_its_rate_and_gets_it_back_with_time():
    now = [0.0]
    admission = Admission(ServingSettings(requests_per_minute=2), lambda: now[0])
    admission.count("a")
    admission.count("a")
    with pytest.raises(ApiError) as refused:
        admission.count("a")
    assert (refused.value.status, refused.value.retry_after_s) == (429, pytest.approx(30))
    admission.count("b")
    now[0] = 30.0
    admission.count("a")
    with pytest.raises(ApiError):
        admission.count("a")
    now[0] = 10_000.0
    admission.count("a")
    admission.count("a")
    with pytest.raises(ApiError):
        admission.count("a")


def test_a_slow_rate_lets_the_first_one_through():
    admission = Admission(ServingSettings(requests_per_minute=0.5), lambda: 0.0)
    admission.count("a")
    with pytest.raises(ApiError) as refused:
        admission.count("a")
    assert refused.value.retry_after_s == pytest.approx(120)


def test_places_are_given_back_also_after_an_error():
    admission = Admission(ServingSettings(concurrency=1, max_in_flight=2))
    with admission.running("a"):
        with pytest.raises(ApiError, match="1 questions at once"), admission.running("a"):
            raise AssertionError("never in here")
        with admission.running("b"), pytest.raises(ApiError, match="as it can take"), admission.running("c"):
            raise AssertionError("never in here")
    with pytest.raises(ZeroDivisionError), admission.running("a"):
        _ = 1 / 0
    with admission.running("a"):
        pass


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES)])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_question_is_a_429_also_where_it_would_be_streamed(path, body, stream):
    stuck = StuckModel()
    async with client(of=by(stuck), keys=KEYS, limits={"concurrency": 1, "max_seconds": 20}) as http:
        alice, bob = ({"authorization": f"Bearer fr-{name}"} for name in ("alice", "bob"))
        running = asyncio.create_task(http.post(path, json=body, headers=alice))
        await asyncio.wait_for(stuck.asked.wait(), 10)
        reply = await http.post(path, json={**body, "stream": stream}, headers=alice)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
        assert reply.json()["error"]["type"] == "rate_limit_error"
        other = asyncio.create_task(http.post(path, json=body, headers=bob))
        running.cancel()
        other.cancel()
        await asyncio.wait({running, other})
    assert stuck.left.is_set()


async def test_the_rate_holds_over_all_routes_of_a_key():
    async with client(of=by(EndlessModel()), keys=KEYS, limits={"requests_per_minute": 2}) as http:
        alice, bob = ({"authorization": f"Bearer fr-{name}"} for name in ("alice", "bob"))
        statuses = [
            (await http.post(path, json=body, headers=alice)).status_code
            for path, body in [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES)] * 2
        ]
        assert statuses == [200, 200, 429, 429]
        assert (await http.post("/v1/responses", json=RESPONSES, headers=bob)).status_code == 200
        assert (await http.get("/v1/models", headers=alice)).status_code == 200
    assert MODEL == "fireact/x"
