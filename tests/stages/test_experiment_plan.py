"""What an experiment will take, told without a call, a model or a Ray."""

import pytest

from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.experiment import open_experiment
from fireact_ray.stages.experiment_plan import plan_text

pytestmark = pytest.mark.slow  # the bundled index is built once


def planned(tmp_path, name: str, *overrides: str, of_experiment=()) -> dict[str, list[str]]:
    """The cells of each row, by its task."""
    small = ["generate.n_questions=16", "evaluate.n_questions=5", f"output_dir={tmp_path}"]
    plan = open_experiment(name, [load_recipe("demo", [*small, *overrides])], of_experiment)
    lines = [line.strip("| ").split(" | ") for line in plan_text(plan).splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def of(rows: dict[str, list[str]], kind: str) -> list[list[str]]:
    return [cells for task, cells in rows.items() if task.startswith(kind)]


def test_shared_work_is_counted_once_and_unknown_is_not_zero(tmp_path):
    rows = planned(tmp_path, "data-scaling", of_experiment=["axes.convert.n=[4, 8]"])
    assert len(of(rows, "generate")) == 1 and len(of(rows, "train")) == 2
    (generate,) = of(rows, "generate")
    assert generate[0] == "2 cells" and generate[1] == "32 rows, 0 done" and generate[2].startswith("<= ")
    assert of(rows, "evaluate")[0] == ["base", "5 rows", "0", "0.0000", "unknown"]
    assert rows["together"][3:] == ["unknown", "unknown"]


def test_prompted_models_are_bounded_by_method_and_priced_where_the_price_is_known(tmp_path):
    model = "teacher.model={kind: openai, name: gpt-4.1, api_key_env: null}"
    (cells,) = of(planned(tmp_path, "prompting", model), "evaluate")
    assert cells[1] == "20 rows"  # four methods
    calls, usd = (float(cell.removeprefix("<= ").replace(",", "")) for cell in cells[2:4])
    assert calls < 4 * 5 * (8 + 3) and usd > 0


def test_a_part_that_cannot_be_planned_says_why(tmp_path):
    rows = planned(tmp_path, "cost", "task={name: jsonl, path: /gone.jsonl}")
    assert "gone.jsonl" in of(rows, "evaluate")[0][1]
    assert rows["together"][2:] == ["unknown", "unknown", "unknown"]
