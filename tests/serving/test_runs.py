"""A question's way through its agent: what is counted, and what ends it."""

import asyncio
import json
import socket
import threading
from contextlib import closing

import httpx
import pytest
from fakes import FINISH, SEARCH, agent, question
from served import (
    CHAT,
    JSON,
    MODEL,
    RESPONSES,
    EndlessModel,
    StuckModel,
    by,
    called,
    chunks,
    client,
    listening,
    sending,
    settings,
)

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.base import Completion
from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.rollout import Limits
from fireact_ray.core.errors import BudgetExhausted, ModelDenied, ModelUnavailable, ToolDenied
from fireact_ray.core.types import StopReason, Usage
from fireact_ray.serving import runs
from fireact_ray.serving.app import build_app
from fireact_ray.serving.settings import Hooks
from fireact_ray.serving.wishes import Allowance

pytestmark = pytest.mark.slow

PATHS = [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES)]


FREE = Allowance()


async def ended(one: Agent, allowance: Allowance = FREE) -> runs.Ended:
    return [event async for event in runs.events(one, question(), allowance)][-1]


async def test_a_run_is_the_agents_own_and_has_its_id():
    alone = await agent(SEARCH, FINISH).run(question())
    end = await ended(agent(SEARCH, FINISH))
    assert (end.trajectory.trajectory_id, end.trajectory.answer) == (alone.trajectory_id, "Ila Dun")
    assert (end.usage, end.limit, end.too_long) == (Usage(20, 10), None, False)


class UncountedModel(EndlessModel):
    async def complete(self, turns, sampling):
        completion = await super().complete(turns, sampling)
        return Completion(completion.text) if len(turns) > 1 else completion


async def test_a_cost_of_which_a_part_is_unknown_is_unknown():
    price = Price(1.0, 2.0)
    assert (await ended(by(EndlessModel(), price=price))).cost_usd == pytest.approx(40e-6)
    assert (await ended(by(UncountedModel(), price=price))).cost_usd is None
    assert (await ended(by(EndlessModel()))).cost_usd is None


async def test_the_last_reply_may_have_what_is_left_of_the_allowance_only():
    model = EndlessModel()
    end = await ended(by(model), Allowance(max_tokens=8))
    assert [sampling.max_new_tokens for sampling in model.samplings] == [8, 3]
    assert (end.trajectory.answer, end.limit) == ("Ila Dun", None)


@pytest.mark.parametrize(("path", "body"), PATHS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_away_ends_the_call_of_its_model(path, body, stream):
    stuck, endings = StuckModel(), []
    app = build_app({MODEL: by(stuck)}, settings(), hooks=Hooks(on_end=lambda asking, end: endings.append(end)))
    left, sent = asyncio.Event(), []

    async def send(message):
        sent.append(message)

    receive = sending({**body, "stream": stream}, left)
    running = asyncio.create_task(called(app, path, {**JSON, "content-length": "100"}, receive, send))
    await asyncio.wait_for(stuck.asked.wait(), 10)
    left.set()
    await asyncio.wait_for(stuck.left.wait(), 10)
    await asyncio.wait_for(running, 10)
    assert endings == [None]
    assert bool(sent) is stream  # a whole reply is told nothing; a stream had begun


class ThreadStuckModel(StuckModel):
    """As StuckModel, seen from another thread."""

    def __init__(self):
        super().__init__()
        self.was_asked, self.was_left = threading.Event(), threading.Event()

    async def complete(self, turns, sampling):
        self.was_asked.set()
        try:
            return await super().complete(turns, sampling)
        finally:
            self.was_left.set()


@pytest.mark.parametrize(("path", "body"), PATHS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_is_closed_ends_the_call_of_its_model(path, body, stream):
    stuck = ThreadStuckModel()
    with listening(build_app({MODEL: by(stuck)})) as url, closing(socket.create_connection(address_of(url))) as wire:
        sent = json.dumps({**body, "stream": stream}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        wire.sendall(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        assert stuck.was_asked.wait(20)
        assert not stuck.was_left.is_set()
        wire.close()
        assert stuck.was_left.wait(20)


def address_of(url):
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


class HeldModel(EndlessModel):
    """Replies once it is let."""

    def __init__(self):
        super().__init__()
        self.let = asyncio.Event()

    async def complete(self, turns, sampling):
        await self.let.wait()
        return await super().complete(turns, sampling)


@pytest.mark.parametrize(("path", "body"), PATHS)
async def test_silence_is_filled_so_that_nobody_takes_the_stream_for_dead(path, body):
    held, sent = HeldModel(), []

    async def send(message):
        sent.append(message.get("body", b"").decode())
        if sent[-1] == ": still at work\n\n":
            held.let.set()

    app = build_app({MODEL: by(held)}, settings(heartbeat_s=0.01))
    receive = sending({**body, "stream": True}, asyncio.Event())
    await asyncio.wait_for(called(app, path, {**JSON, "content-length": "100"}, receive, send), 10)
    assert "Ila Dun" in "".join(sent)
    assert chunks("".join(sent))


async def test_a_question_has_its_time_and_says_when_that_is_up():
    async with client(of=by(StuckModel()), limits={"max_seconds": 0.05}) as http:
        reply = (await http.post("/v1/chat/completions", json=CHAT)).json()
        assert (reply["choices"][0]["finish_reason"], reply["fireact"]["stop_reason"]) == ("length", "timeout")
        reply = (await http.post("/v1/responses", json=RESPONSES)).json()
        assert (reply["status"], reply["fireact"]["stop_reason"]) == ("incomplete", "timeout")
    async with client(of=by(StuckModel())) as http:
        reply = (await http.post("/v1/chat/completions", json={**CHAT, "fireact": {"max_seconds": 0.05}})).json()
        assert reply["fireact"]["stop_reason"] == "timeout"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelDenied("key sk-secret is refused"), "provider_denied"),
        (ToolDenied("secret"), "provider_denied"),
        (BudgetExhausted("secret"), "budget_exhausted"),
    ],
)
@pytest.mark.parametrize(("path", "body"), PATHS)
async def test_what_concerns_the_whole_server_is_a_503_that_nobody_tries_again(error, code, path, body, caplog):
    class Denied(EndlessModel):
        async def complete(self, turns, sampling):
            raise error

    async with client(of=by(Denied())) as http:
        reply = await http.post(path, json=body)
        streamed = await http.post(path, json={**body, "stream": True})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, code)
    assert (reply.headers["x-should-retry"], "retry-after" in reply.headers) == ("false", False)
    assert code in streamed.text
    assert "secret" not in reply.text + streamed.text
    assert reply.headers["x-request-id"] in caplog.text


async def test_hooks_hear_of_each_question_once_and_of_each_step():
    heard = []
    hooks = Hooks(
        on_start=lambda asking: heard.append(("start", asking)),
        on_step=lambda asking, step: heard.append(("step", step.action.tool)),
        on_end=lambda asking, end: heard.append(("end", end and end.stop_reason)),
    )
    async with client(hooks=hooks) as http:
        reply = await http.post("/v1/responses", json={**RESPONSES, "stream": True})
    assert heard[1:] == [("step", "search"), ("step", "finish"), ("end", StopReason.FINISHED)]
    asking = heard[0][1]
    assert (asking.trace_id, asking.key, asking.model) == (reply.headers["x-request-id"], "", MODEL)
    assert (asking.route, asking.question_chars) == ("/v1/responses", 26)


@pytest.mark.parametrize(("path", "body"), PATHS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_that_failed_has_ended_when_its_reply_is_there(path, body, stream):
    heard = []

    hooks = Hooks(on_end=lambda asking, end: heard.append((asking, end and end.stop_reason)))
    away = agent(*[ModelUnavailable("m")] * 3)
    async with client(of=away, hooks=hooks, limits={"concurrency": 1}) as http:
        statuses = [(await http.post(path, json={**body, "stream": stream})).status_code for _ in range(3)]
    assert statuses == [200 if stream else 503] * 3  # and no 429: each gave its place back
    assert [reason for _, reason in heard] == [StopReason.MODEL_ERROR] * 3


async def test_two_agents_are_two_models_of_one_server():
    app = build_app({"base": agent(FINISH, few_shot=True), "tuned": agent(SEARCH, FINISH)}, settings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        steps = {}
        for model in ("base", "tuned"):
            reply = (await http.post("/v1/chat/completions", json={**CHAT, "model": model})).json()
            steps[model] = (reply["model"], reply["fireact"]["n_steps"])
    assert steps == {"base": ("base", 1), "tuned": ("tuned", 2)}


async def test_a_short_limit_of_the_agent_is_never_widened():
    model = EndlessModel()
    async with client(of=by(model, limits=Limits(max_steps=1))) as http:
        reply = await http.post("/v1/chat/completions", json={**CHAT, "fireact": {"max_steps": 5}})
    assert reply.json()["fireact"]["n_steps"] == 1
