"""`fireact view`: what it writes, where, and what it says."""

import json

import pytest
from typer.testing import CliRunner
from viewing import row

from fireact_ray.cli.app import app
from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories


def view(*arguments) -> list[str]:
    done = CliRunner().invoke(app, ["view", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout.splitlines()


@pytest.fixture
def run(tmp_path):
    for name, mark in (("base", 0.0), ("finetuned", 1.0)):
        folder = Folder(str(tmp_path / "demo" / "evaluations" / name / "trajectories"))
        write_trajectories(folder, [row(name, "held out?", mark)], "w")
    return tmp_path / "demo"


def test_a_run_gets_its_page_within_and_the_last_line_says_where(run):
    assert view(run) == [
        "base: 1 row, 1 wrong",
        "finetuned: 1 row, 1 right",
        "finetuned against base: 1 fixed",
        f"{run}/view/index.html",
    ]
    assert "held out?" in (run / "view" / "index.html").read_text()


def test_two_runs_and_a_file_go_where_they_are_told_to(run, tmp_path):
    line = {"instruction": "held out?", "input": "", "output": "Thought: So.\nAction: finish[410 m]"}
    (tmp_path / "x.json").write_text(json.dumps([line]))
    assert view(tmp_path / "x.json")[-1] == f"{tmp_path}/x.json.view/index.html"
    assert view(run, tmp_path / "x.json", "--out", tmp_path / "out")[-1] == f"{tmp_path}/out/compared.html"
    assert (tmp_path / "out" / "compared.html").is_file()


def test_a_missing_run_is_named(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}/none: no such file"):
        view(tmp_path / "none")
