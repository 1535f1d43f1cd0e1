"""A tiny experiment whose two students share a generation, interrupted after its first cell and gone on with."""

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
    *("student.limits.max_steps=2", "student.sampling.max_new_tokens=16"),
    "evaluate={split: test, n_questions: 2, workers: 1, concurrency: 2}",
]
GRID = ["cells.base=null", "axes.convert.n=[4, 6]", "tables=[scaling, costs]"]


@pytest.fixture(scope="module")
def scripted():
    from fireact_ray.demo.teacher.server import ScriptedTeacher

    with ScriptedTeacher() as teacher:
        yield teacher


@pytest.fixture(scope="module")
def run(tmp_path_factory, local_ray, scripted):
    """The recipe; exit codes and the teacher's calls of the interrupted command and of the next; what was trained when
    it was interrupted; the outcome."""
    recipe = small_recipe(tmp_path_factory.mktemp("runs"), scripted, *TINY)
    plan = open_experiment("data-scaling", [recipe], GRID)
    home = Folder(recipe.run_dir) / "experiments"
    outcomes, codes, calls = [], [], []
    first_cell = home / "data-scaling" / "cells" / "n-4"
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


def test_both_cells_have_a_result_whose_rows_can_be_looked_at(run):
    *_, (outcome,) = run
    assert not outcome.failed
    found = json.loads((outcome.folder.local_path / "report.json").read_text())["experiments"][0]
    rows = found["sections"][0]["tables"][0]["rows"]
    assert [row["label"] for row in rows] == ["4", "6"]
    (place,) = rows[0]["values"][0]["rows"]
    assert len(read_trajectories(Folder(place))) == 2
    assert "<svg" in (outcome.folder.local_path / "report.html").read_text()


def test_the_two_students_learnt_from_one_generation(run):
    recipe, *_ = run
    home = Path(recipe.run_dir) / "experiments"
    assert len(list((home / "generations").iterdir())) == 1
    datasets = [json.loads(path.read_text()) for path in home.glob("students/*/dataset/manifest.json")]
    assert sorted(manifest["rows"] for manifest in datasets) == [4, 6]


def test_a_cell_that_fails_is_said_and_ends_the_command_with_1(run, tmp_path, capsys, monkeypatch):
    recipe, *_ = run
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe))
    monkeypatch.setattr(
        "sys.argv",
        ["fireact", "experiment", "data-scaling", "--recipe", str(file)]
        + [
            argument
            for setting in [*GRID, "axes.convert.n=[4, 900]", "equal_steps=false"]
            for argument in ("--set", f"experiment.{setting}")
        ],
    )
    assert command(app, interrupt_when=lambda: False) == 1
    said = capsys.readouterr()
    assert "convert.n = 900, but only" in said.err and "1 cells failed" in said.err
    assert "n-900: convert failed" in said.out
