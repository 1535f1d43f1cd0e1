"""A served agent: one call is a rollout, and what its server does not tell is unknown, never invented."""

from dataclasses import replace

import pytest
from aiohttp import web
from fakes import FINISH, SEARCH, agent, question
from loopback import loopback

from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.rollout import Limits
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ModelDenied
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import to_row
from fireact_ray.core.types import StopReason, Trajectory, Usage
from fireact_ray.evaluation.report import Report
from fireact_ray.recipe.endpoint import EndpointAgents, at_endpoint
from fireact_ray.recipe.loader import parse_recipe
from fireact_ray.rollouts.journal import Journal, read_journal
from fireact_ray.rollouts.replay import journaled
from fireact_ray.serving.chat_reply import completion_body
from fireact_ray.serving.runs import Ended

RECIPE = """
name: r
task: {{name: almanac}}
evaluate:
  systems: [{{name: served, kind: endpoint, base_url: "{url}/v1", model: fireact/demo, max_attempts: 1}}]
"""
BACKEND: SearchBackend = None  # an endpoint's agent searches by itself


def endpoint(url: str, **settings):
    recipe = parse_recipe("r", RECIPE.format(url=url))
    entry = recipe.evaluate.systems[0].model_copy(update=settings)
    return EndpointAgents(at_endpoint(recipe, entry))(BACKEND)["endpoint"]


async def asked(*answers, **settings):
    """The trajectory of one question and what the server was sent."""
    async with loopback(lambda n: answers[n]) as server:
        one = endpoint(server.url, **settings)
        row = await one.run(question())
        await one.close()
    return row, server.asked


def plain(content, finish="stop", **fields) -> web.Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return web.json_response({"object": "chat.completion", "choices": [choice], **fields})


async def ours(*replies, **settings) -> web.Response:
    """As `fireact serve` answers when its model says this."""
    return web.json_response(told(await agent(*replies, **settings).run(question()), "fireact/demo"))


def told(row: Trajectory, model: str) -> dict:
    return completion_body(Ended(row, row.usage, row.cost_usd), model)


async def test_our_own_server_tells_its_steps_searches_and_tokens():
    row, sent = await asked(await ours(SEARCH, "I am lost", FINISH))
    assert sent[0]["body"] == {
        "model": "fireact/demo",
        "messages": [{"role": "user", "content": "Who wrote The Road to Zem?"}],
    }
    assert (row.stop_reason, row.answer, row.score.exact_match) == (StopReason.FINISHED, "Ila Dun", 1.0)
    assert (len(row.steps), row.n_searches, row.usage) == (3, 1, Usage(30, 15))
    assert row.steps[0].observation.text == "The Road to Zem is a novel by Ila Dun."
    assert row.steps[1].action is None
    assert row.tells_steps
    assert row.wall_time_s > 0


async def test_what_our_server_could_not_answer_stops_as_it_told():
    row, _ = await asked(await ours(SEARCH, SEARCH, limits=Limits(max_steps=2)))
    assert (row.stop_reason, row.answer, row.n_searches, row.error) == (StopReason.MAX_STEPS, None, 2, None)
    failing = "Thought: t\nAction: search[down]"
    row, _ = await asked(await ours(failing, limits=Limits(max_tool_errors=0)))
    assert (row.stop_reason, row.error) == (StopReason.TOOL_ERROR, "told by the endpoint")


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"total_tokens": None}}])
async def test_steps_and_tokens_of_another_server_are_unknown(usage):
    row, _ = await asked(plain("Ila Dun", **usage))
    assert (row.answer, row.stop_reason) == ("Ila Dun", StopReason.FINISHED)
    assert not row.tells_steps
    stored, report = to_row(row), Report.from_trajectories("served", [row])
    assert (stored["n_steps"], stored["n_searches"], row.usage) == (None, None, Usage())
    assert (report.searches_per_question, report.steps_per_question, report.tokens_per_question) == (None, None, None)
    costs = report.to_dict()["per_trial"]
    assert [costs[name] for name in ("searches", "steps", "prompt_tokens", "completion_tokens")] == [None] * 4
    assert costs["model_seconds"]["n"] == 1


@pytest.mark.parametrize(("prompt", "completion", "cost_usd"), [(0, 0, None), (1000, 500, 0.004)])
async def test_what_is_counted_is_billed_once_and_zeros_are_no_count(prompt, completion, cost_usd):
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    async with loopback(lambda n: plain("x", usage=usage)) as server:
        priced = replace(endpoint(server.url), price=Price(2.0, 4.0))
        row = await priced.run(question())
        await priced.close()
    assert row.cost_usd == cost_usd


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("The author is known.\nAnswer: Ila Dun", "Ila Dun"),
        ("<think>who?</think>Ila Dun", "Ila Dun"),
        ("**Final Answer:** Ila Dun", "Ila Dun"),
        ("It was Ila Dun,\nof Zem.", "It was Ila Dun, of Zem."),
    ],
)
async def test_an_answer_is_taken_from_a_known_form_or_is_the_whole_reply(content, answer):
    assert (await asked(plain(content)))[0].answer == answer


async def test_an_empty_reply_is_wrong_and_says_why_it_stopped():
    row, _ = await asked(plain(""))
    assert (row.stop_reason, row.answer, row.score.exact_match) == (StopReason.PARSE_ERROR, None, 0.0)
    row, _ = await asked(plain(None, "length"))
    assert row.stop_reason is StopReason.MAX_TOKENS


async def test_reasoning_that_is_no_rollout_of_ours_is_kept_and_counted_as_nothing():
    body = told(await agent(SEARCH, FINISH).run(question()), "m")
    body["choices"][0]["message"]["reasoning_content"] = "First I think of Zem.\nThought: x"
    row, _ = await asked(web.json_response(body))
    assert (row.answer, row.tells_steps, len(row.steps)) == ("Ila Dun", False, 1)
    assert row.steps[0].reasoning.startswith("First I think")
    other = told(await agent(SEARCH, FINISH).run(question()), "m")
    other["choices"][0]["message"]["content"] = "Bo"  # not what its steps end with
    assert (await asked(web.json_response(other)))[0].tells_steps is False


async def test_a_server_that_is_down_is_a_failed_row_and_a_refused_key_stops_the_run():
    row, _ = await asked("reset")
    assert (row.stop_reason, row.steps) == (StopReason.MODEL_ERROR, ())
    with pytest.raises(ModelDenied):
        await asked(web.json_response({"error": {"message": "no"}}, status=401))


async def test_a_key_goes_where_it_is_named(monkeypatch):
    monkeypatch.setenv("SERVED_KEY", "k-0123456789")
    _, sent = await asked(plain("x"), api_key_env="SERVED_KEY")
    assert sent[0]["headers"]["Authorization"] == "Bearer k-0123456789"


async def test_its_reply_is_journaled_and_a_rerun_asks_nothing(tmp_path):
    async with loopback([await ours(SEARCH, FINISH)].__getitem__) as server:
        one, home = endpoint(server.url), Folder(str(tmp_path))
        rows = []
        for name in ("a", "b"):
            paid = {entry.call: entry for entry in read_journal(home)}
            journal = Journal(home, name)
            rows.append(await journaled(one, journal, "k", paid, offline=False).run(question()))
            journal.close()
        await one.close()
    assert rows[0] == rows[1]
    assert len(server.asked) == 1
