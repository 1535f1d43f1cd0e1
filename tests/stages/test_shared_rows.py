"""What an experiment takes over from other folders, and what it makes of rows that are written. Needs no Ray."""

import json

import pytest

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import finished_keys, read_trajectories, write_trajectories
from fireact_ray.core.types import Action, Question, Score, Step, StopReason, Trajectory
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.experiment import answer_of, home_of, open_experiment, write_answers
from fireact_ray.stages.shared_rows import SHARED, share_evaluations, share_generation


def rows(*methods: str, n: int = 3, failed: int = 0) -> list[Trajectory]:
    return [_row(f"{method}-{number}", method, number >= n - failed) for method in methods for number in range(n)]


def _row(key: str, method: str, has_failed: bool) -> Trajectory:
    question = Question("almanac", key.rpartition("-")[2], "Which?", ("Tarn",))
    if has_failed:
        return Trajectory(key, question, method, "m", 0, (), StopReason.MODEL_ERROR, None, "ModelUnavailable: 503")
    steps = (Step("t", Action("finish", "Tarn"), None),)
    return Trajectory(key, question, method, "m", 0, steps, StopReason.FINISHED, Score(1.0, 1.0))


def written(folder: Folder, *made: Trajectory) -> None:
    folder.write_json("inputs.json", {"of": "these"})
    write_trajectories(folder, made, "test")


@pytest.fixture
def recipe(tmp_path):
    return load_recipe("demo", [f"output_dir={tmp_path}", "teacher.methods=[react]", "evaluate.n_questions=3"])


@pytest.fixture
def home(recipe):
    return Folder(home_of(recipe))


def generation(recipe, *methods: str):
    """As an experiment makes it."""
    asked = recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"methods": methods})})
    plan = open_experiment("finetuning", [asked], ["axes.seed=[0]"])
    return next(
        iter(plan.parts[0].graph.tasks[task] for task in plan.parts[0].graph.tasks if "generate" in task)
    ).recipe


def test_rows_of_a_method_that_another_generation_has_are_taken_over_once(recipe, home):
    made, more = generation(recipe, "react"), generation(recipe, "react", "reflexion")
    written(Folder(made.run_dir) / "trajectories", *rows("react"))
    assert share_generation(more, home) == 3
    assert share_generation(more, home) == 0
    taken = Folder(more.run_dir) / "trajectories"
    assert finished_keys(taken) == {"react-0", "react-1", "react-2"}
    assert taken.read_json("inputs.json") == {"of": "these"}


def test_rows_of_methods_that_nobody_asked_for_and_rows_that_failed_are_left(recipe, home):
    more, made = generation(recipe, "react", "cot"), generation(recipe, "react")
    written(Folder(more.run_dir) / "trajectories", *rows("react", "cot", failed=1))
    assert share_generation(made, home) == 2
    assert finished_keys(Folder(made.run_dir) / "trajectories") == {"react-0", "react-1"}


def test_a_generation_with_other_settings_gives_nothing(recipe, home):
    made = generation(recipe, "react")
    written(Folder(made.run_dir) / "trajectories", *rows("react"))
    other = generation(
        recipe.model_copy(update={"generate": recipe.generate.model_copy(update={"n_questions": 9})}), "react"
    )
    assert share_generation(other, home) == 0
    assert not Folder(other.run_dir).local_path.exists()


def cell(recipe, experiment: str, name: str, *overrides: str):
    part = open_experiment(experiment, [recipe], overrides).parts[0]
    return part, part.graph.tasks[part.graph.by_cell[name]].recipe


def test_the_base_that_one_experiment_evaluated_is_taken_over_by_another(recipe, home):
    _, first = cell(recipe, "cost", "base")
    share_evaluations(first, home)
    written(Folder(first.run_dir) / "evaluations" / "base" / "trajectories", *rows("react"))
    _, same = cell(recipe, "finetuning", "base")
    assert share_evaluations(same, home) == 3
    assert len(read_trajectories(Folder(same.run_dir) / "evaluations" / "base" / "trajectories")) == 3
    _, noisy = cell(recipe, "robustness", "base")
    assert share_evaluations(noisy, home) == 3  # the normal condition, and no other
    assert [path.parent.name for path in Folder(noisy.run_dir).local_path.glob("evaluations/*/trajectories")] == [
        "base"
    ]


def test_a_choice_of_methods_costs_no_call_where_each_was_prompted_before(recipe, home):
    _, prompted = cell(recipe, "prompting", "only")
    share_evaluations(prompted, home)
    for method in ("io", "cot", "react", "reflexion"):
        written(Folder(prompted.run_dir) / "evaluations" / method / "trajectories", *rows(method))
    _, chosen = cell(recipe, "method-mix", "prompted")
    assert share_evaluations(chosen, home) == 9


def test_a_damaged_folder_gives_nothing_and_stops_nobody(recipe, home):
    made, more = generation(recipe, "react"), generation(recipe, "react", "reflexion")
    damaged = Folder(made.run_dir) / "trajectories"
    written(damaged, *rows("react"))
    damaged.write("part-x.parquet", b"torn")
    assert share_generation(more, home) == 0


@pytest.mark.parametrize("other", ["student.max_context=99", "evaluate.split=dev", "search.n_hits=2"])
def test_an_evaluation_with_other_settings_gives_nothing(recipe, home, other):
    _, first = cell(recipe, "cost", "base")
    share_evaluations(first, home)
    written(Folder(first.run_dir) / "evaluations" / "base" / "trajectories", *rows("react"))
    section, _, value = other.partition("=")
    changed = load_recipe(
        "demo", [f"output_dir={home.local_path.parents[1]}", "evaluate.n_questions=3", f"{section}={value}"]
    )
    _, asked = cell(changed, "finetuning", "base")
    assert share_evaluations(asked, home) == 0
    assert Folder(asked.run_dir).exists(SHARED)


@pytest.mark.slow
def test_an_answer_is_made_of_what_is_written_and_says_what_is_not(recipe, home):
    part, evaluated = cell(recipe, "cost", "base")
    written(Folder(evaluated.run_dir) / "evaluations" / "base" / "trajectories", *rows("react"))
    training = next(task for task in part.graph.tasks if task.startswith("train"))
    failures = {training: "train failed: no room", part.graph.by_cell["fine-tuned"]: "train failed: no room"}
    answer, missing = answer_of(part, failures, [recipe])
    assert [(one.cell, one.reason) for one in missing] == [("fine-tuned", "train failed: no room")]
    assert dict(answer.facts)["cells"] == "2, 1 of them without a result"
    write_answers(home / "cost", "cost", [answer])
    found = json.loads((home / "cost").read("report.json"))["experiments"][0]["sections"][0]["tables"][0]["rows"]
    assert [row["label"] for row in found][:2] == ["base", "paper: GPT-3.5 by ReAct"]
    assert found[-1]["label"] == "fine-tuned: train failed: no room"
    assert b"<svg" in (home / "cost").read("report.html")
    assert b"no room" in (home / "cost").read("report.md")


def test_a_cell_whose_rows_cannot_be_read_is_missing_and_the_others_are_shown(recipe, home):
    part, evaluated = cell(recipe, "cost", "base")
    folder = Folder(evaluated.run_dir) / "evaluations" / "base" / "trajectories"
    written(folder, *rows("react"))
    folder.write("part-x.parquet", b"torn")
    _, missing = answer_of(part, {}, [recipe])
    assert [one.cell for one in missing] == ["base", "fine-tuned"]
    assert "not a readable Parquet file" in missing[0].reason
