"""Systems opened by their kind: what answers, what a folder remembers of it, and that nothing is started twice."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web
from loopback import loopback

from fireact_ray.agent.placeholders import OfflineBackend
from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.inputs import teacher_inputs
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.system_agents import opened_systems
from fireact_ray.recipe.trials import trials_of
from fireact_ray.tasks import load_questions

SEARCHED = OfflineBackend("somewhere")
KEYS_OF_THE_TEACHER = ["c5826d782bd6f4d0", "68123af62be56556"]


def evaluating(section: str, *overrides: str):
    return load_recipe("demo", [f"evaluate={section}", *overrides])


def opened(recipe) -> dict[str, dict]:
    """What each system's folder remembers, and the keys of its rows for two questions."""
    questions = load_questions("almanac", None, "test", 2)
    with opened_systems(recipe, trials_of(recipe)) as systems:
        agents = {system.label: system.planner(SEARCHED, None) for system in systems}
        keys = {label: [a.trajectory_id(q) for a in by.values() for q in questions] for label, by in agents.items()}
        methods = {label: list(by) for label, by in agents.items()}
        return {s.label: {"inputs": s.inputs, "keys": keys[s.label], "methods": methods[s.label]} for s in systems}


def test_the_teacher_s_folder_remembers_what_it_ever_did_and_its_rows_have_their_old_keys():
    recipe = evaluating("{systems: [teacher]}")
    found = opened(recipe)["teacher"]
    assert found["inputs"] == teacher_inputs(recipe)
    assert set(found["inputs"]) == {"seed", "task", "teacher", "search"}
    assert found["keys"] == KEYS_OF_THE_TEACHER


def test_method_condition_and_seed_are_remembered_where_there_are_any_and_make_other_rows():
    recipe = evaluating(
        "{systems: [teacher, {kind: teacher, method: cot}], conditions: [none, random], seeds: [3, 4]}",
        "teacher.sampling.temperature=0.7",
    )
    found = opened(recipe)
    assert list(found) == [
        *("teacher~3", "teacher~4", "teacher@none-0.5~3", "teacher@none-0.5~4"),
        *("teacher@random-0.5~3", "teacher@random-0.5~4", "teacher-cot~3", "teacher-cot~4"),
    ]
    inputs = {label: one["inputs"] for label, one in found.items()}
    assert inputs["teacher@none-0.5~4"] == {
        **inputs["teacher~4"],
        "condition": {"kind": "none", "probability": 0.5, "seed": 0, "latency_s": 5.0},
    }
    assert inputs["teacher-cot~3"] == {**inputs["teacher~3"], "method": "cot"}
    assert inputs["teacher~4"]["teacher"]["sampling"]["seed"] == 4
    assert len({key for one in found.values() for key in one["keys"]}) == 2 * len(found)
    assert found["teacher-cot~3"]["methods"] == ["cot"]


def test_what_random_shows_does_not_depend_on_how_many_questions_are_evaluated():
    few, more = (opened(evaluating(f"{{systems: [teacher], conditions: [random], n_questions: {n}}}")) for n in (2, 50))
    assert few["teacher@random-0.5"]["keys"] == more["teacher@random-0.5"]["keys"]


def test_another_model_has_its_own_quota_and_no_budget_of_the_teacher():
    recipe = evaluating(
        "{systems: [{name: gpt, kind: teacher, method: io, limits: {max_steps: 3}, quota: {requests_per_minute: 9},"
        " model: {kind: openai, name: gpt-x, base_url: 'http://127.0.0.1:1/v1', api_key_env: null}}]}",
        "generate.budget.max_calls=5",
        "teacher.quota.requests_per_minute=100",
    )
    with opened_systems(recipe, trials_of(recipe)) as (system,):
        asked = system.builder.recipe
    assert (asked.teacher.model.name, asked.teacher.quota.requests_per_minute) == ("gpt-x", 9)
    assert asked.generate.budget.max_calls is None
    assert asked.teacher.limits.max_steps == 3
    assert system.inputs["teacher"]["model"]["name"] == "gpt-x"


def test_a_scripted_teacher_is_started_once_for_all_that_ask_it_and_a_replay_starts_none():
    section = "{systems: [teacher, {kind: teacher, method: cot}], conditions: [none]}"
    recipe = evaluating(section)
    with opened_systems(recipe, trials_of(recipe)) as systems:
        addresses = {system.builder.recipe.teacher.model.base_url for system in systems}
    assert len(addresses) == 1
    replaying = evaluating(section, "replay=/runs/x")
    with opened_systems(replaying, trials_of(replaying)) as systems:
        assert {system.builder.recipe.teacher.model.kind for system in systems} == {"scripted"}


def test_faults_reach_a_prompted_model_and_only_there():
    recipe = evaluating("{systems: [teacher], conditions: [{kind: none, probability: 1}]}", "teacher.model.memory=0")
    question = next(q for q in load_questions("almanac", None, "test") if q.kind == "1hop")

    async def rows() -> dict[str, list[str]]:
        seen = {}
        for system in systems:
            agent = system.builder(backend, None)["react"]
            row = await replace(agent, limits=replace(agent.limits, max_steps=3)).run(question)
            seen[system.label] = [step.observation.text for step in row.steps if step.observation]
            await agent.close()
        return seen

    backend = open_backend(recipe.search)
    with opened_systems(recipe, trials_of(recipe)) as systems:
        seen = asyncio.run(rows())
    assert "No results found." not in seen["teacher"][:1]
    assert set(seen["teacher@none-1"]) == {"No results found."}


async def test_an_endpoint_is_asked_the_question_and_remembered_by_its_model():
    reply = {"choices": [{"message": {"content": "Zem"}, "finish_reason": "stop"}]}
    async with loopback(lambda n: web.json_response(reply)) as server:
        entry = f"{{name: served, kind: endpoint, base_url: '{server.url}/v1', model: x/y, extra_body: {{top: 1}}}}"
        recipe = evaluating(f"{{systems: [{entry}], conditions: [none], seeds: [1, 2]}}")
        with opened_systems(recipe, trials_of(recipe)) as (system,):
            agent = system.builder(SEARCHED, None)["endpoint"]
            row = await agent.run(load_questions("almanac", None, "test", 1)[0])
            await agent.close()
    assert (system.label, row.method, row.model, row.answer) == ("served", "endpoint", "x/y", "Zem")
    assert system.inputs["endpoint"] == {"model": {"name": "x/y", "extra_body": {"top": 1}}}
    assert server.asked[0]["body"]["top"] == 1


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ("recipe.yaml", "this run has no trained model. Run `fireact train` there first"),
        ("other.txt", "is no complete base model. Missing: config.json"),
    ],
)
def test_a_folder_without_a_model_is_refused_before_anything_runs(made, problem, tmp_path):
    Folder(str(tmp_path)).write(made, "name: x\n")
    recipe = evaluating(f"{{systems: [{{name: other, kind: model, path: '{tmp_path}'}}]}}")
    with pytest.raises(InputError, match=problem), opened_systems(recipe, trials_of(recipe)):
        pass


def test_reflexion_reflects_as_often_as_the_teacher_and_a_hosted_student_s_react_is_what_it_was():
    found = opened(evaluating("{systems: [{kind: teacher, method: reflexion}]}", "teacher.reflect_every=2"))
    assert found["teacher-reflexion"]["inputs"]["reflect_every"] == 2
    student = "{kind: openai-ft, name: small, base_url: 'http://127.0.0.1:1/v1', api_key_env: null}"
    hosted = evaluating("{systems: [base, {kind: base, method: reflexion}]}", f"student={student}", "train={}")
    found = opened(hosted.model_copy(update={"teacher": hosted.teacher.model_copy(update={"reflect_every": 2})}))
    assert found["base"]["inputs"]["student"]["reflect_every"] == 4  # as its folders ever remembered
    assert found["base-reflexion"]["inputs"]["reflect_every"] == 2
    assert (found["base"]["methods"], found["base-reflexion"]["methods"]) == (["react"], ["reflexion"])
