import asyncio
from dataclasses import replace

import pytest

from fireact_ray.core.errors import InputError, ModelDenied, ModelUnknown
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Trajectory
from fireact_ray.demo.teacher.brain import BrainConfig
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rollouts.audit import audit
from fireact_ray.rollouts.plan import Policy, plan_lines
from fireact_ray.stages.generate import generate
from fireact_ray.tasks import load_questions

from .conftest import small_recipe

pytestmark = pytest.mark.ray


def timeless(trajectory: Trajectory) -> Trajectory:
    steps = tuple(replace(s, model_latency_s=0.0, tool_latency_s=0.0) for s in trajectory.steps)
    return replace(trajectory, steps=steps)


def planned_keys(recipe) -> list[str]:
    questions = load_questions("almanac", None, "train", recipe.generate.n_questions)
    agents = TeacherAgents(recipe)(open_backend(recipe.search))
    return sorted(row.trajectory_id for line in plan_lines(questions, agents, Policy()) for row in line)


@pytest.fixture(scope="module")
def generated(tmp_path_factory, local_ray):
    """A run of two workers whose first command named an unknown model; then over 10 questions, and over 24, twice: its
    recipe, the calls and rows after each, and what the first said. The teacher is gone."""
    runs, after = tmp_path_factory.mktemp("runs"), []
    with ScriptedTeacher(BrainConfig(seed=0, error_rate=0.1)) as teacher:
        with pytest.raises(ModelUnknown) as unknown:
            generate(small_recipe(runs, teacher, "generate.workers=2", "teacher.model.name=gpt-none"))
        for n_questions in (10, 24, 24):
            recipe = small_recipe(runs, teacher, "generate.workers=2", f"generate.n_questions={n_questions}")
            rows = read_trajectories(generate(recipe))
            after.append((teacher.stats()["calls"], rows))
    return recipe, after, str(unknown.value)


def test_every_planned_row_is_written_once_and_a_second_run_makes_no_call(generated):
    recipe, (_, (calls, rows), (all_calls, rows_again)), _ = generated
    folder = Folder(recipe.run_dir) / "trajectories"
    assert rows_again == rows
    assert [t.trajectory_id for t in rows] == planned_keys(recipe)
    assert len(rows) == 24 * 2
    manifest = folder.read_json("manifest.json")
    assert (manifest["planned"], sum(manifest["by_reason"].values())) == (48, 48)
    assert manifest["parts"] == folder.names(".parquet")
    assert len(manifest["parts"]) == 1
    found = audit(Folder(recipe.run_dir))
    assert (found.planned, found.written, found.pending, found.problems) == (48, 48, 0, ())
    assert calls == all_calls == {"404": 1, "200": sum(len(row.steps) for row in rows)}


def test_asking_for_more_questions_pays_only_for_those(generated):
    _, ((calls, rows), (all_calls, all_rows), _), _ = generated
    assert len(rows) == 10 * 2
    assert calls == {"404": 1, "200": sum(len(row.steps) for row in rows)}
    assert [row for row in all_rows if row in rows] == rows
    assert all_calls == {"404": 1, "200": sum(len(row.steps) for row in all_rows)}


def test_rollouts_through_ray_equal_rollouts_in_a_loop(generated, teacher):
    recipe, *_ = generated
    through_ray = read_trajectories(Folder(recipe.run_dir) / "trajectories")

    async def in_a_loop() -> list[Trajectory]:
        reached = recipe.teacher.model.model_copy(update={"base_url": teacher.base_url})
        here = recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"model": reached})})
        agents = TeacherAgents(here)(open_backend(here.search))
        questions = load_questions("almanac", None, "train", 6)
        return [await agent.run(question) for question in questions for agent in agents.values()]

    looped = {t.trajectory_id: timeless(t) for t in asyncio.run(in_a_loop())}
    assert len(looped) == 6 * 2
    assert {t.trajectory_id: timeless(t) for t in through_ray if t.trajectory_id in looped} == looped


def test_a_changed_setting_in_an_old_folder_is_refused_by_name(generated, teacher):
    recipe, *_ = generated
    with pytest.raises(InputError, match=r"teacher\.sampling\.temperature: was 0\.0, now 0\.5"):
        generate(small_recipe(recipe.output_dir, teacher, "teacher.sampling.temperature=0.5"))


def test_a_run_repeats_offline_from_its_recording_bit_for_bit(generated):
    recipe, *_ = generated
    first = read_trajectories(Folder(recipe.run_dir) / "trajectories")
    replayed = recipe.model_copy(update={"name": "again", "replay": recipe.run_dir})
    assert read_trajectories(generate(replayed)) == first  # the teacher is gone; times are those of the recording
    one_more = recipe.generate.model_copy(update={"n_questions": 25})
    with pytest.raises(ModelDenied, match="the recording holds no"):
        generate(replayed.model_copy(update={"name": "more", "generate": one_more}))


def test_a_denied_key_stops_the_run_with_its_reason(tmp_path, local_ray):
    with ScriptedTeacher(api_key="right") as locked, pytest.raises(ModelDenied, match="HTTP 401"):
        generate(small_recipe(tmp_path, locked, "generate.n_questions=4"))


def test_an_unknown_model_stops_the_run_and_the_right_one_then_takes_the_folder(generated):
    _, ((_, rows), *_), said = generated
    assert "Model 'gpt-none': not found" in said
    assert len(rows) == 10 * 2


def test_a_question_is_asked_again_until_it_is_accepted_and_by_the_next_method_only_where_the_former_failed(
    tmp_path, local_ray, teacher
):
    """Two attempts by each of two methods."""
    asked = ["teacher.methods=[cot, react]", "teacher.sampling.temperature=1.0"]
    recipe = small_recipe(tmp_path, teacher, *asked, "generate.escalate=true", "generate.max_attempts_per_question=2")
    rows = read_trajectories(generate(recipe))
    by_question: dict[str, list[tuple[str, int, bool]]] = {}
    for t in sorted(rows, key=lambda t: (t.method, t.attempt)):
        by_question.setdefault(t.question.id, []).append((t.method, t.attempt, t.score.exact_match == 1))
    assert len(by_question) == 24
    in_order = [("cot", 0), ("cot", 1), ("react", 0), ("react", 1)]
    for tries in by_question.values():
        assert [(method, attempt) for method, attempt, _ in tries] == in_order[: len(tries)]
        assert not any(correct for *_, correct in tries[:-1])
        assert len(tries) == 4 or tries[-1][2]
    assert {len(tries) for tries in by_question.values()} >= {1, 3}
    found = audit(Folder(recipe.run_dir))
    assert (found.planned, found.written, found.skipped, found.pending) == (96, len(rows), 96 - len(rows), 0)
    assert found.problems == ()


def test_a_target_stops_the_run_once_enough_is_accepted_and_a_higher_one_goes_on(tmp_path, local_ray, teacher):
    settings = ["teacher.methods=[react]", "generate.n_questions=60", "generate.concurrency=1"]
    recipe = small_recipe(tmp_path, teacher, *settings, "generate.target_accepted=10")
    rows = read_trajectories(generate(recipe))
    accepted = sum(t.score.exact_match == 1 for t in rows)
    assert 10 <= accepted <= 13  # a slot has four rollouts open: with nine accepted, these may all end before they hear
    found = audit(Folder(recipe.run_dir))
    assert (found.pending, found.problems) == (0, ())
    calls = teacher.stats()["calls"]["200"]
    generate(recipe)
    assert teacher.stats()["calls"]["200"] == calls
    more = read_trajectories(generate(small_recipe(tmp_path, teacher, *settings, "generate.target_accepted=20")))
    assert sum(t.score.exact_match == 1 for t in more) >= 20
    assert {t.trajectory_id for t in rows} < {t.trajectory_id for t in more}
