"""`fireact ask`: what is printed of an answer that failed, and that a script can tell by the exit code."""

import asyncio
import json

import pytest
from aiohttp import web
from loopback import loopback
from typer.testing import CliRunner

from fireact_ray.cli.app import app
from fireact_ray.core.errors import ModelDenied, ToolDenied

RECIPE = """
name: r
task: {{name: jsonl, path: {folder}/q.jsonl}}
search: {{backend: {{kind: index, corpus: {folder}/c.jsonl}}}}
teacher:
  model: {{kind: openai, name: m, api_key_env: null, base_url: "{url}/v1", max_attempts: 1}}
  methods: [react]
"""


@pytest.fixture
def asked(tmp_path):
    """Ask a teacher that gives these answers in order: the exit code, what was printed, what was raised."""
    (tmp_path / "q.jsonl").write_text('{"question": "Who?", "answer": "Bo"}\n')
    (tmp_path / "c.jsonl").write_text('{"title": "Bo", "text": "Bo did it."}\n')

    async def ask(*answers, settings=()):
        async with loopback(lambda n: answers[n]) as server:
            (tmp_path / "r.yaml").write_text(RECIPE.format(folder=tmp_path, url=server.url))
            overrides = [part for setting in settings for part in ("--set", setting.format(url=server.url))]
            arguments = ["ask", str(tmp_path / "r.yaml"), "Who?", "--system", "teacher", *overrides]
            return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return ask


def said(text: str) -> web.Response:
    return web.json_response({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


def refused(status: int, message: str) -> web.Response:
    return web.Response(status=status, text=json.dumps({"error": {"message": message}}))


async def test_an_answer_is_printed_and_the_exit_code_is_0(asked):
    done = await asked(said("Thought: t\nAction: finish[Bo]"))
    assert (done.exit_code, done.output.splitlines()[3]) == (0, "Answer: Bo")


async def test_a_refusal_is_printed_in_the_providers_words_and_the_exit_code_is_1(asked):
    done = await asked(said("Thought: t\nAction: search[Bo]"), refused(400, "seed is not supported"))
    assert done.exit_code == 1
    assert done.output.splitlines()[-3:-1] == [
        "Error: ModelRefused: m: HTTP 400: seed is not supported "
        "(set by teacher.sampling.seed; left out by teacher.model.leave_out: [seed])",
        "Answer: none (model_error)",
    ]


async def test_parameters_that_a_model_refuses_are_left_out_and_its_reply_is_cut_all_the_same(asked):
    bodies = []

    async def answer(request):
        bodies.append(await request.json())
        return said("Thought: t\nAction: finish[Bo]\nObservation: x\nThought: u\nAction: finish[Al]")

    done = await asked(answer, settings=["teacher.model.leave_out=[temperature, stop, max_tokens]"])
    assert (done.exit_code, done.output.splitlines()[-2]) == (0, "Answer: Bo")
    assert sorted(bodies[0]) == ["max_completion_tokens", "messages", "model"]


async def test_a_rollout_without_an_answer_says_why_it_stopped(asked):
    done = await asked(
        *(said("Thought: t\nAction: search[Bo]") for _ in range(2)), settings=["teacher.limits.max_steps=2"]
    )
    assert (done.exit_code, done.output.splitlines()[-2]) == (1, "Answer: none (max_steps)")


async def test_a_refused_key_ends_the_command_and_is_told_once(asked):
    done = await asked(refused(401, "No such key"))
    assert isinstance(done.exception, ModelDenied)
    assert (str(done.exception), done.output) == ("m: HTTP 401: No such key", "")


async def test_a_refused_search_key_ends_the_command_too(asked, monkeypatch, caplog):
    monkeypatch.setenv("SOME_KEY", "wrong-key-0123456")
    backend = "search.backend={{kind: serper, api_key_env: SOME_KEY, base_url: '{url}'}}"
    done = await asked(
        said("Thought: t\nAction: search[Bo]"),
        web.json_response({"message": "Unauthorized.", "statusCode": 403}, status=403),
        settings=[backend, "search.cache.enabled=false"],
    )
    assert isinstance(done.exception, ToolDenied)
    assert "The search provider 'serper' refuses every search (HTTP 403: Unauthorized.)" in str(done.exception)
    assert "Unauthorized" not in done.output + caplog.text
