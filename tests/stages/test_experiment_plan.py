"""What an experiment will take, told without a call, a model or a Ray."""

import json
from pathlib import Path

import pytest
from fakes import finished_trajectory

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.experiment import Plan, open_experiment
from fireact_ray.stages.experiment_plan import plan_text
from fireact_ray.stages.plan_evaluation import evaluation_section
from fireact_ray.stages.shared_rows import share_evaluations
from fireact_ray.tasks import load_questions

pytestmark = pytest.mark.slow  # the bundled index is built once


def opened(tmp_path, name: str, *overrides: str, of_experiment=()) -> Plan:
    small = ["generate.n_questions=16", "evaluate.n_questions=5", f"output_dir={tmp_path}"]
    return open_experiment(name, [load_recipe("demo", [*small, *overrides])], of_experiment)


def cells_of(text: str) -> dict[str, list[str]]:
    """The cells of each row, by its task."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def planned(tmp_path, name: str, *overrides: str, of_experiment=()) -> dict[str, list[str]]:
    return cells_of(plan_text(opened(tmp_path, name, *overrides, of_experiment=of_experiment)))


def of(rows: dict[str, list[str]], kind: str) -> list[list[str]]:
    return [cells for task, cells in rows.items() if task.startswith(kind)]


def test_shared_work_is_counted_once_and_unknown_is_not_zero(tmp_path):
    rows = planned(tmp_path, "data-scaling", of_experiment=["axes.convert.n=[4, 8]"])
    assert len(of(rows, "generate")) == 1 and len(of(rows, "train")) == 2
    (generate,) = of(rows, "generate")
    assert generate[0] == "2 cells" and generate[1] == "32 rows" and generate[2].startswith("<= ")
    assert of(rows, "evaluate")[0] == ["base", "5 rows", "0", "0.0000", "unknown"]
    assert rows["together"][3:] == ["unknown", "unknown"]


def test_prompted_models_are_bounded_by_method_and_priced_where_the_price_is_known(tmp_path):
    model = "teacher.model={kind: openai, name: gpt-4.1, api_key_env: null}"
    (cells,) = of(planned(tmp_path, "prompting", model), "evaluate")
    assert cells[1] == "20 rows"  # four methods
    calls, usd = (float(cell.removeprefix("<= ").replace(",", "")) for cell in cells[2:4])
    assert calls < 4 * 5 * (8 + 3) and usd > 0


def test_a_part_that_cannot_be_planned_says_why(tmp_path):
    text = plan_text(opened(tmp_path, "cost", "task={name: jsonl, path: /gone.jsonl}"))
    rows = cells_of(text)
    assert [cells[1] for kind in ("evaluate", "generate") for cells in of(rows, kind)] == ["not planned [1]"] * 3
    assert rows["together"][2:] == ["unknown", "unknown", "unknown"]
    assert [line for line in text.splitlines() if line.startswith("[")] == [
        "[1] Task 'jsonl': /gone.jsonl does not exist. Expected a JSONL file of questions, or a folder that holds it."
    ]


def test_more_rows_than_there_will_be_are_a_problem_before_anything_is_made(tmp_path):
    text = plan_text(opened(tmp_path, "data-scaling", of_experiment=["axes.convert.n=[32, 33]"]))
    assert [cells[1] for cells in of(cells_of(text), "convert")] == ["", "too few [1]"]
    assert "[1] convert.n = 33, and there will be 32 rows to choose from" in text


def test_a_plan_needs_no_key(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    model = "teacher.model={kind: openai, name: gpt-4.1, api_key_env: NO_SUCH_KEY}"
    rows = planned(tmp_path, "finetuning", model, "search.backend={kind: serper}", of_experiment=["axes.seed=[0]"])
    (generate,) = of(rows, "generate")
    assert generate[1] == "32 rows" and generate[2].startswith("<= ") and generate[3].startswith("<= ")


def test_rows_that_tasks_share_are_planned_once_whether_they_are_there_or_not(tmp_path):
    mixed = ("teacher.methods=[react]", "teacher.reflect_every=3")
    both = opened(tmp_path, "paper", *mixed, of_experiment=["parts=[prompting, finetuning, method-mix]"])
    rows = cells_of(plan_text(both))
    assert [cells[1] for cells in of(rows, "generate")] == ["16 rows", "32 rows, 16 shared"]  # by react; cot, reflexion
    assert rows["evaluate prompting/cells/only"][1] == "20 rows"
    assert rows["evaluate method-mix/cells/prompted"][1:4] == ["0 rows, 15 shared", "0", "0.0000"]

    recipe = both.parts[0].graph.tasks["evaluate prompting/cells/only"].recipe
    share_evaluations(recipe, Folder(both.parts[0].graph.home))
    questions = load_questions("almanac", None, "test", 2)
    made = [finished_trajectory(question.id, question=question, overhead_s=0.15) for question in questions]
    write_trajectories(Folder(recipe.run_dir) / "evaluations" / "react" / "trajectories", made, "w")
    alone = cells_of(plan_text(opened(tmp_path, "method-mix", *mixed)))
    assert alone["evaluate method-mix/cells/prompted"][1] == "13 rows, 2 shared"


def recorded(run: Path, system: str, n: int, overhead_s: float | None) -> None:
    """Rows whose calls took 0.85 s, of other questions than those that are planned."""
    rows = [finished_trajectory(f"{system}{key}", overhead_s=overhead_s) for key in range(n)]
    write_trajectories(Folder(str(run / "evaluations" / system / "trajectories")), rows, "w")


def test_trainings_and_evaluations_take_what_they_took_before_and_what_nobody_recorded_is_unknown(tmp_path):
    run = tmp_path / "demo"
    recorded(run, "base", 4, overhead_s=3.15)
    recorded(run, "finetuned", 2, overhead_s=None)  # rows of an earlier version
    overrides = ("evaluate.concurrency=2", "train.workers=1")
    rows = planned(tmp_path, "data-scaling", *overrides, of_experiment=["axes.convert.n=[32]"])
    assert of(rows, "evaluate")[0][-1] == "10 s"  # 5 questions, 2 at once, 4 s each
    assert of(rows, "train")[0][1:] == ["32 rows, 6 steps", "0", "0.0000", "unknown"]
    assert of(rows, "evaluate")[1][-1] == rows["together"][-1] == "unknown"

    config = {"base_model": "nano", "tuning": "full", "global_batch_size": 16, "sharding": "ddp"}
    (run / "model").mkdir()
    (run / "model" / "fireact.json").write_text(json.dumps({"config": config, "steps": 20}))
    (run / "checkpoints").mkdir()
    entries = [{"step": step, "of": 20, "eta_s": 2.0 * (20 - step)} for step in (10, 20)]
    (run / "checkpoints" / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    recorded(run, "finetuned", 3, overhead_s=0.15)
    rows = planned(tmp_path, "data-scaling", *overrides, of_experiment=["axes.convert.n=[32]"])
    assert of(rows, "train")[0][-1] == "12 s"
    assert of(rows, "evaluate")[1][-1] == "2 s"  # the rows of the earlier version count for nothing
    lora = planned(tmp_path, "data-scaling", *overrides, "train.tuning=lora", of_experiment=["axes.convert.n=[32]"])
    assert of(lora, "train")[0][-1] == "unknown"


def test_what_is_written_of_an_evaluation_is_not_planned_again(tmp_path):
    recipe = load_recipe("demo", [f"output_dir={tmp_path}", "evaluate={split: test, n_questions: 3, systems: [base]}"])
    questions = load_questions("almanac", None, "test", 3)
    rows = [finished_trajectory("a", question=questions[1], overhead_s=1.15)]
    write_trajectories(Folder(recipe.run_dir) / "evaluations" / "base" / "trajectories", rows, "w")
    assert evaluation_section(recipe).splitlines()[1:] == ["- base: 2 questions, 2 s, measured on 1 rows"]
    other = recipe.model_copy(update={"name": "other"})
    assert evaluation_section(other).splitlines()[1:] == ["- base: 3 questions, time unknown"]
