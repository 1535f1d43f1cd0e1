"""How models want to be asked: presets by name, what a recipe adds, and that no secret stands in a recipe."""

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from loopback import loopback

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.dialects import dialects, fold_system
from fireact_ray.agent.quota.gate import LocalQuota
from fireact_ray.core.errors import InputError, RecipeError
from fireact_ray.core.secrets import redact
from fireact_ray.core.types import Turn
from fireact_ray.recipe.inputs import generate_inputs
from fireact_ray.recipe.loader import load_recipe, parse_recipe, to_yaml
from fireact_ray.recipe.teacher import open_teacher

TURNS = (Turn("system", "s"), Turn("user", "q"), Turn("assistant", "a"), Turn("user", "o"))
SAMPLING = Sampling(0.0, 64, ("\nObservation:",), seed=3)
SAID = {"choices": [{"message": {"content": "hello\nObservation: x"}, "finish_reason": "stop"}]}


def recipe(model: str):
    return parse_recipe("r.yaml", f"name: r\nteacher:\n  model: {{kind: openai, name: m, {model}}}\n")


def problem(model: str) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe(model)
    return str(caught.value)


async def asked(model: str):
    """What a server is asked by a teacher of these settings, and the text of its reply."""
    async with loopback(lambda _: web.json_response(SAID)) as server:
        config = recipe(f"base_url: '{server.url}/v1', {model}").teacher.model
        teacher = open_teacher(config, LocalQuota())
        try:
            completion = await teacher.complete(TURNS, SAMPLING)
        finally:
            await teacher.close()
    return server.asked[0], completion.text


async def test_a_reasoning_model_is_asked_without_what_it_refuses_and_its_reply_is_cut_all_the_same():
    request, text = await asked("dialect: openai-reasoning, reasoning_effort: low, api_key_env: null")
    assert request["body"] == {
        "model": "m",
        "messages": [{"role": turn.role, "content": turn.content} for turn in TURNS],
        "max_completion_tokens": 64,
        "reasoning_effort": "low",
    }
    assert text == "hello"


async def test_azure_is_asked_with_its_version_and_its_key_in_a_header_of_its_own(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-0123456")
    request, _ = await asked("dialect: azure")
    assert request["query"] == {"api-version": "2024-10-21"}
    assert request["headers"]["api-key"] == "azure-key-0123456"
    assert "Authorization" not in request["headers"]
    request, _ = await asked("dialect: azure, extra_query: {api-version: preview, deployment: d}, leave_out: [seed]")
    assert request["query"] == {"api-version": "preview", "deployment": "d"}
    assert sorted(request["body"]) == ["max_tokens", "messages", "model", "stop", "temperature"]


async def test_extra_body_headers_and_query_go_with_every_call_their_secrets_from_variables(monkeypatch):
    monkeypatch.setenv("GATE_TOKEN", "gate-token-0123456")
    request, _ = await asked(
        "api_key_env: null, extra_body: {provider: {sort: price}, top_p: 0.9}, "
        "extra_headers: {HTTP-Referer: 'https://example.org', X-Gate: env:GATE_TOKEN, "
        "authorization: Bearer env:GATE_TOKEN}, extra_query: {key: env:GATE_TOKEN}"
    )
    assert (request["body"]["provider"], request["body"]["top_p"]) == ({"sort": "price"}, 0.9)
    headers = {name.lower(): value for name, value in request["headers"].items()}
    assert headers["http-referer"] == "https://example.org"
    assert headers["x-gate"] == "gate-token-0123456"
    assert headers["authorization"] == "Bearer gate-token-0123456"
    assert request["query"] == {"key": "gate-token-0123456"}
    assert redact("it said gate-token-0123456") == "it said [redacted]"


async def test_a_variable_that_is_not_set_is_named_with_the_header_that_needs_it():
    with pytest.raises(InputError, match=r"The model 'm', 'X-Gate', reads its key from .* NO_SUCH_VARIABLE"):
        await asked("api_key_env: null, extra_headers: {X-Gate: env:NO_SUCH_VARIABLE}")


async def test_the_system_turn_is_folded_into_the_users_first():
    request, _ = await asked("dialect: local-no-system")
    assert request["body"]["messages"] == [
        {"role": "user", "content": "s\n\nq"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "o"},
    ]


_TURNS = st.lists(st.builds(Turn, st.sampled_from(["system", "user", "assistant"]), st.text(max_size=3)), max_size=6)


@given(_TURNS)
def test_folding_leaves_no_system_turn_and_loses_no_text(turns):
    folded = fold_system(turns)
    assert "system" not in {turn.role for turn in folded}
    assert [turn for turn in folded if turn.role == "assistant"] == [turn for turn in turns if turn.role == "assistant"]
    assert all(any(turn.content.strip() in other.content for other in folded) for turn in turns)
    assert fold_system(folded) == folded


@pytest.mark.parametrize("name", sorted(dialects()))
def test_every_preset_is_a_valid_recipe_that_survives_being_written_out(name):
    made = recipe(f"dialect: {name}, base_url: 'http://127.0.0.1:9/v1'")
    assert parse_recipe("r.yaml", to_yaml(made)) == made
    assert made.teacher.model.base_url == "http://127.0.0.1:9/v1"


def test_what_a_recipe_says_wins_over_its_preset():
    model = recipe(
        "dialect: gemma, system: keep, leave_out: [], api_key_env: MINE, base_url: 'http://h/v1'"
    ).teacher.model
    assert (model.system, model.leave_out, model.api_key_env, model.base_url) == ("keep", (), "MINE", "http://h/v1")
    assert recipe("dialect: deepseek-reasoner").teacher.model.leave_out == ("temperature", "seed")
    assert recipe("dialect: ollama").teacher.model.api_key_env is None
    assert recipe("dialect: openai-reasoning").teacher.model.api_key_env == "OPENAI_API_KEY"


def test_a_preset_that_is_not_known_lists_those_that_are():
    said = problem("dialect: openai-resoning")
    assert said.startswith("r.yaml: teacher.model.dialect: unknown dialect; known: anthropic, azure, azure-reasoning,")
    assert said.endswith("found 'openai-resoning'. Did you mean 'openai-reasoning'?")


def test_a_preset_without_an_address_of_its_own_sends_its_key_nowhere_else():
    assert problem("dialect: azure") == (
        "r.yaml: teacher.model: the dialect 'azure' has no address of its own: set base_url."
    )


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("model: x", "teacher.model.name"),
        ("messages: []", "the method's prompt"),
        ("stream: true", "the run, which reads whole replies"),
        ("n: 4", "generate.attempts"),
        ("temperature: 1", "teacher.sampling.temperature"),
        ("max_completion_tokens: 9", "teacher.sampling.max_new_tokens"),
        ("stop: [x]", "the method"),
        ("tools: []", "the method, which has its tools called in text"),
        ("reasoning_effort: low", "teacher.model.reasoning_effort"),
    ],
)
def test_extra_body_may_not_overwrite_what_the_run_controls(field, line):
    name = field.partition(":")[0]
    assert problem(f"extra_body: {{{field}}}") == (
        f"r.yaml: teacher.model.extra_body: '{name}' is set by {line}: it cannot stand here."
    )


@pytest.mark.parametrize(
    "setting",
    [
        "extra_headers: {Authorization: Bearer abcdef}, api_key_env: null",
        "extra_headers: {api-key: abcdef}",
        "extra_headers: {X-Auth-Token: abcdef}",
        "extra_headers: {X-Anything: sk-abcdef0123456}",
        "extra_headers: {X-Anything: 'Bearer abcdef env:X'}",
        "extra_query: {key: abcdef}",
        "extra_query: {x: sk-abcdef0123456}",
        "extra_body: {x: {y: sk-abcdef0123456}}",
        "extra_body: {x: {api_key: abcdef}}",
    ],
)
def test_no_secret_stands_in_a_recipe_and_the_error_does_not_repeat_it(setting):
    said = problem(setting)
    assert "no secret may stand in a recipe" in said or "none may stand in a recipe" in said
    assert "abcdef" not in said


@pytest.mark.parametrize(
    "setting",
    [
        "extra_headers: {Content-Type: text/plain}",
        "extra_headers: {'X Y': z}",
        'extra_headers: {X-Y: "a\\nb"}',
        "extra_headers: {Authorization: env:X}",
        "key_header: api-key, extra_headers: {API-KEY: env:X}",
        "reasoning_effort: 'very much'",
        "system: drop",
    ],
)
def test_what_cannot_be_sent_is_a_problem_of_the_recipe(setting):
    assert problem(setting).startswith("r.yaml: teacher.model")


def test_how_a_provider_is_reached_shapes_no_row_and_what_it_is_asked_does():
    plain = generate_inputs(recipe("leave_out: [temperature, stop, seed, max_tokens]"))
    assert generate_inputs(recipe("dialect: openai-reasoning, extra_headers: {X-Y: z}, extra_query: {a: b}")) == plain
    for shaping in ("system: fold", "reasoning_effort: low", "extra_body: {top_p: 0.9}"):
        assert generate_inputs(recipe(f"dialect: openai-reasoning, {shaping}")) != plain


def test_a_recipe_of_before_opens_as_it_did():
    model = load_recipe("hotpotqa", ["task.path=x", "search.backend.corpus=x"]).teacher.model
    assert (model.dialect, model.system, model.extra_body, model.key_header) == (None, None, None, None)
