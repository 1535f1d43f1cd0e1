"""A tiny experiment whose cells share a generation and a student, interrupted after its first cell and gone on with."""

import json
from pathlib import Path

import pytest

from fireact_ray.cli.app import app
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.stages.experiment import experiment, open_experiment

from .conftest import small_recipe
from .interrupting import command

pytestmark = [pytest.mark.ray, pytest.mark.torch]

TINY = [
    *("generate={split: train, n_questions: 16, workers: 1, concurrency: 16}", "teacher.methods=[react]"),
    *("train.workers=1", "train.global_batch_size=8", "train.precision=fp32", "train.checkpoint_every_steps=0"),
    *("student.limits.max_steps=2", "student.sampling.max_new_tokens=16", "convert.n=6"),
    "evaluate={split: test, n_questions: 2, workers: 1, concurrency: 2}",
]
DEFINITION = """
name: tiny
question: Does a student bear faulty searches?
all_cells: {evaluate: {systems: [finetuned]}}
cells:
  calm: {}
  noisy: {evaluate: {conditions: [none]}}
tables: [noise, costs]
"""


@pytest.fixture(scope="module")
def scripted():
    from fireact_ray.demo.teacher.server import ScriptedTeacher

    with ScriptedTeacher() as teacher:
        yield teacher


@pytest.fixture(scope="module")
def definition(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("definition") / "tiny.yaml"
    file.write_text(DEFINITION)
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory, local_ray, scripted, definition):
    """The recipe; exit codes and the teacher's calls of the interrupted command and of the next; what was trained when
    it was interrupted; the outcome."""
    recipe = small_recipe(tmp_path_factory.mktemp("runs"), scripted, *TINY)
    plan = open_experiment(str(definition), [recipe])
    home = Folder(recipe.run_dir) / "experiments"
    outcomes, codes, calls = [], [], []
    first_cell = home / "tiny" / "cells" / "calm"
    codes.append(
        command(lambda: experiment([recipe], plan), interrupt_when=lambda: first_cell.exists("evaluations/report.md"))
    )
    calls.append(scripted.stats()["calls"]["200"])
    trained = {path: path.stat().st_mtime_ns for path in (home / "students").local_path.glob("*/model/fireact.json")}
    codes.append(command(lambda: outcomes.append(experiment([recipe], plan)), interrupt_when=lambda: False))
    calls.append(scripted.stats()["calls"]["200"])
    return recipe, codes, calls, trained, outcomes


def test_what_was_paid_for_before_an_interrupt_is_not_paid_for_again(run):
    _, codes, calls, trained, _ = run
    assert codes == [130, 0]
    assert calls[0] == calls[1] > 0
    assert len(trained) == 1
    assert all(path.stat().st_mtime_ns == at for path, at in trained.items())


def test_all_cells_have_results_whose_rows_can_be_looked_at(run):
    *_, (outcome,) = run
    assert not outcome.failed
    found = json.loads((outcome.folder.local_path / "report.json").read_text())["experiments"][0]
    rows = [row for row in found["sections"][0]["tables"][0]["rows"] if row["origin"] == "ours"]
    assert [row["label"] for row in rows] == ["calm", "noisy", "noisy, none-0.5"]
    places = [place for row in rows for place in row["values"][0]["rows"]]
    assert [len(read_trajectories(Folder(place))) for place in places] == [2, 2, 2]
    assert "<svg" in (outcome.folder.local_path / "report.html").read_text()


def test_the_second_cell_takes_over_the_rows_of_the_first_and_asks_under_faults_itself(run):
    recipe, *_ = run
    home = Path(recipe.run_dir) / "experiments"
    (student,) = (path.name for path in (home / "students").iterdir())
    made = {
        path.parent.name: sorted(part.name[:11] for part in path.glob("*.parquet"))
        for path in home.glob("tiny/cells/noisy/evaluations/*/trajectories")
    }
    assert made[student] == ["part-shared"]
    assert made[f"{student}@none-0.5"] and made[f"{student}@none-0.5"] != ["part-shared"]
    assert len(list((home / "generations").iterdir())) == 1


def test_a_cell_that_fails_is_said_and_ends_the_command_with_1(run, definition, tmp_path, capsys, monkeypatch):
    recipe, *_ = run
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe))
    longer = "experiment.cells.all={convert: {n: 900}}"
    monkeypatch.setattr("sys.argv", ["fireact", "experiment", str(definition), "--recipe", str(file), "--set", longer])
    assert command(app, interrupt_when=lambda: False) == 1
    said = capsys.readouterr()
    assert "convert.n = 900, but only" in said.err and "1 cells failed" in said.err
    assert "all: convert failed" in said.out and "| noisy, none-0.5" in said.out
