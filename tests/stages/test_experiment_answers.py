"""The answer of an experiment from rows that are written: no Ray, no model."""

from dataclasses import replace

from fakes import finished_trajectory, question

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories
from fireact_ray.evaluation.judged import Judged
from fireact_ray.evaluation.report import Report
from fireact_ray.recipe.experiments.asking import asked_of
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.experiment import answer_of, open_experiment


def write_rows(part, cell_name: str, n: int) -> None:
    cell = next(cell for cell in part.cells if cell.name == cell_name)
    (asked,) = asked_of(cell, part.graph.tasks[part.graph.by_cell[cell_name]].recipe)
    rows = [
        finished_trajectory(f"{key}", question=replace(question(), id=str(key)), overhead_s=0.5) for key in range(n)
    ]
    write_trajectories(asked.folder / "trajectories", rows, "w")


def judge_says(part, cell_name: str, judged: Judged) -> None:
    """As `evaluate` leaves it: in the report alone."""
    cell = next(cell for cell in part.cells if cell.name == cell_name)
    (asked,) = asked_of(cell, part.graph.tasks[part.graph.by_cell[cell_name]].recipe)
    rows = read_trajectories(asked.folder / "trajectories")
    report = replace(Report.from_trajectories(asked.system, rows), judged=judged)
    asked.folder.write_json("report.json", report.to_dict())


def test_what_a_judge_says_has_a_column_where_one_was_asked_and_a_note_of_its_agreement(tmp_path):
    recipe = load_recipe("demo", [f"output_dir={tmp_path}"])
    (part,) = open_experiment("finetuning", [recipe], ["axes.seed=[0, 1]", "tables=[systems]"]).parts
    for cell in ("base", "seed-0", "seed-1"):
        write_rows(part, cell, 4)
    (table,) = answer_of(part, {}, [recipe])[0].sections[0].tables
    assert not any("judge" in column for column in table.columns) and len(table.notes) == 1

    for cell, by_judge in (("seed-0", 1), ("seed-1", 2)):
        judge_says(part, cell, Judged("gpt-x", by_judge, 0, 4 - by_judge, 0, 0, n_asked=2, cost_usd=None))
    (table,) = answer_of(part, {}, [recipe])[0].sections[0].tables
    at = table.columns.index("judge % [95 %]") - 1
    assert [row.values[at].text for row in table.rows] == ["-", "37.5"]  # the mean over the seeds
    assert {len(row.values) for row in table.rows} == {len(table.columns) - 1}
    assert table.notes[1] == "Judged by gpt-x; it agrees with exact match on 25.0 to 50.0 % of a system's rows."


def test_cells_that_failed_or_whose_seeds_differ_are_told_beside_those_with_a_result(tmp_path):
    recipe = load_recipe("demo", [f"output_dir={tmp_path}"])
    (part,) = open_experiment("finetuning", [recipe], ["axes.seed=[0, 1]", "tables=[gains, costs]"]).parts
    for cell, n in (("base", 3), ("seed-0", 3), ("seed-1", 2)):
        write_rows(part, cell, n)
    answer, missing = answer_of(part, {}, [recipe])
    assert [one.cell for one in missing] == ["seed-0", "seed-1"]
    assert ("cells", "3, 2 of them without a result") in answer.facts
    costs = answer.sections[1].tables[0]
    assert [row.label.partition(":")[0] for row in costs.rows if row.origin != "paper"] == ["base", "seed-0", "seed-1"]
    assert [value.text for value in costs.rows[0].values[2:6]] == ["0.8", "0.8", "0.1", "0.5"]

    failed = {part.graph.by_cell["seed-1"]: "train failed: no room"}
    answer, missing = answer_of(part, failed, [recipe])
    assert [(one.cell, one.reason) for one in missing] == [("seed-1", "train failed: no room")]
    gains = answer.sections[0].tables[0]
    assert [row.origin for row in gains.rows if row.origin != "paper"] == ["ours", "failed"]
    assert Folder(str(tmp_path)).names() == []  # answering writes nothing
