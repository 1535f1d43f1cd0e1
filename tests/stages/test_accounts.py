"""Which journals of a run count for which model: every call is paid by the account of the model that made it."""

import pytest

from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.shared_quota import journals_of

SMALL = {"kind": "openai", "name": "small", "base_url": "http://127.0.0.1:1/v1", "api_key_env": None}


def made_by(home: Folder, inputs: dict) -> None:
    (home / "trajectories").write_json("inputs.json", inputs)


@pytest.fixture
def run(tmp_path) -> Folder:
    """A run whose teacher is scripted, evaluated in many ways."""
    run, scripted = Folder(str(tmp_path / "demo")), {"kind": "scripted", "memory": 0.35}
    made_by(run, {"teacher": {"model": scripted}})
    evaluations = run / "evaluations"
    made_by(evaluations / "teacher", {"teacher": {"model": scripted}})
    made_by(evaluations / "teacher@none-0.5~1", {"teacher": {"model": scripted}, "condition": {}})
    made_by(evaluations / "small-cot", {"teacher": {"model": {"kind": "openai", "name": "small"}}, "method": "cot"})
    made_by(evaluations / "hosted", {"student": {"model": {"kind": "openai", "name": "small"}}, "model": "small"})
    made_by(evaluations / "served", {"endpoint": {"model": {"name": "served"}}})
    made_by(evaluations / "base", {"student": {"renderer": "plain"}, "model": "nano-base"})
    made_by(evaluations / "before", {"run": {"name": "x", "fingerprint": None}})
    return run


def names(run: Folder, **teacher) -> list[str]:
    recipe = load_recipe("demo", [f"output_dir={run.local_path.parent}", *(f"{k}={v}" for k, v in teacher.items())])
    return [journal.uri.removeprefix(f"{run.uri}/") for journal in journals_of(recipe)]


def test_the_teacher_s_account_holds_generation_and_every_system_that_asks_its_model(run):
    assert names(run) == ["journal", "evaluations/teacher/journal", "evaluations/teacher@none-0.5~1/journal"]


def test_another_model_s_account_holds_its_own_calls_alone(run):
    found = names(run, **{"teacher.model": f"{SMALL}".replace("None", "null")})
    assert found == ["evaluations/hosted/journal", "evaluations/small-cot/journal"]


def test_of_a_run_that_remembers_nothing_yet_its_journal_counts(tmp_path):
    assert names(Folder(str(tmp_path / "demo"))) == ["journal"]


def test_runs_of_an_experiment_share_an_account(run):
    home = run / "experiments"
    made_by(home / "generations" / "a", {"teacher": {"model": {"kind": "scripted"}}})
    made_by(home / "x" / "cells" / "c" / "evaluations" / "react", {"teacher": {"model": {"kind": "scripted"}}})
    made_by(
        home / "x" / "cells" / "c" / "evaluations" / "base", {"student": {"renderer": "plain"}, "model": "nano-base"}
    )
    (home / "students" / "s" / "checkpoints").write_json("inputs.json", {"train": {}})
    own = load_recipe("demo", [f"output_dir={home.uri}/generations", "name=new", f"generate.budget.over={home.uri}"])
    assert [journal.uri.removeprefix(f"{home.uri}/") for journal in journals_of(own)] == [
        "generations/new/journal",
        "generations/a/journal",
        "x/cells/c/evaluations/react/journal",
    ]
