"""The command line: exit codes, one-line errors, nothing written by what is refused."""

import os
import re
import subprocess
import sys

import pytest
from forked import fireact

from .conftest import run_with_one_row

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("loaded")]


def test_help_names_every_command():
    listed = fireact("--help").stdout
    for name in (
        "demo",
        "plan",
        "generate",
        "convert",
        "train",
        "evaluate",
        "run",
        "serve",
        "ask",
        "show",
        "import",
        "export",
        "merge",
        "lint",
        "check",
        "status",
        "doctor",
        "data",
    ):
        assert name in listed


BAD = {
    "a recipe that does not exist": (["generate", "nowhere.yaml"], "no such file, and no shipped recipe"),
    "an unknown task": (["generate", "demo", "--set", "task.name=hotpot"], "Did you mean 'hotpotqa'?"),
    "an unknown method": (["generate", "demo", "--set", "teacher.methods=[act]"], "Did you mean 'react'?"),
    "a split that does not exist": (["generate", "demo", "--set", "generate.split=x"], "Known: train, dev, test"),
    "a missing question file": (["generate", "hotpotqa"], "`fireact data hotpotqa` gets it"),
    "a plan of a missing question file": (["plan", "hotpotqa"], "data/hotpotqa"),
    "a cap of nothing": (["plan", "demo", "--max-cost-usd", "0"], "generate.budget.max_cost_usd"),
    "a cap for what has no price": (["generate", "demo", "--max-cost-usd", "5"], "max_cost_usd = 5 needs a price"),
    "a run that is none": (["status", "nowhere", "--watch"], "no run there"),
    "a run without trajectories": (["convert", "demo"], "Run `fireact generate` or `fireact import` first"),
    "a run without a dataset": (["train", "demo"], "Run `fireact convert` first"),
    "a run without a model": (["serve", "demo"], "Run `fireact train` first"),
    "a question without a model": (["ask", "demo", "Who?"], "Run `fireact train` first"),
    "an unknown system": (["ask", "demo", "Who?", "--system", "x"], "Known: finetuned, base, teacher"),
    "a run folder that is none": (["show", "nowhere"], "nowhere: no such file, and no run folder"),
    "an export of nothing": (["export", "nowhere", "--format=chat", "--out=x"], "nowhere: no dataset there"),
    "an unknown format": (
        ["export", "nowhere", "--format=csv", "--out=x"],
        "unknown format 'csv'. Known: alpaca, chat",
    ),
    "a path to lint that does not exist": (["lint", "nowhere"], "nowhere: no such file, and no run folder"),
    "an unknown rule to fail on": (["lint", "x", "--fail-on", "wrong_anser"], "Did you mean 'wrong_answer'?"),
    "a comparison with nothing": (["lint", "x", "--fail-on", "contaminated"], "Give --against or --recipe"),
    "a merge of nothing": (["merge", "nowhere", "--out=x"], "nowhere: neither a trained model nor a run with one"),
    "a file to import that does not exist": (["import", "demo", "nowhere.json"], "nowhere.json"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2_and_nothing_is_written(case, tmp_path):
    arguments, message = BAD[case]
    done = fireact(*arguments, cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if message in line]
    assert (done.returncode, len(errors)) == (2, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_names_its_variable(recipe):
    done = fireact("generate", recipe())
    assert done.returncode == 2
    assert "environment variable NO_SUCH_KEY, which is not set" in done.stderr


def test_a_check_says_which_files_are_missing_and_how_to_get_them(tmp_path):
    done = fireact("check", "hotpotqa", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "name: hotpotqa")
    assert "/data/hotpotqa does not exist. `fireact data hotpotqa` gets it." in done.stderr
    assert "`fireact data corpus hotpotqa --out " in done.stderr


def test_a_missing_corpus_is_named(recipe, tmp_path):
    done = fireact("generate", recipe(corpus=tmp_path / "none.jsonl"))
    assert done.returncode == 2
    assert "none.jsonl: no such file" in done.stderr
    assert "`fireact data corpus SOURCE... --out " in done.stderr


@pytest.mark.parametrize(
    ("command", "base_model", "message"),
    [
        ("convert", "{}/empty", "empty: it holds no tokenizer (looked for tokenizer.json, tokenizer.model)"),
        ("convert", "{}/none", "none' could not be loaded"),
        ("train", "{}/empty", "empty is no complete base model. Missing: config.json, a tokenizer"),
    ],
)
def test_a_model_folder_that_lacks_something_is_named_and_nothing_is_written(command, base_model, message, tmp_path):
    (tmp_path / "empty").mkdir()
    run = tmp_path / "demo"
    run_with_one_row(run)
    (run / "dataset").mkdir()
    (run / "dataset" / "manifest.json").write_text('{"fingerprint": "x"}')
    before = sorted(tmp_path.rglob("*"))
    base = base_model.format(tmp_path)
    done = fireact(command, "demo", f"--set=output_dir={tmp_path}", f"--set=student.base_model={base}")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_question_set_is_refused(recipe, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    done = fireact("generate", recipe(questions=tmp_path / "empty.jsonl"))
    assert done.returncode == 2
    assert "empty.jsonl" in done.stderr


def test_a_plan_without_a_pilot_is_a_bound_and_tells_how_to_go_on(tmp_path):
    settings = ["--set", "generate.n_questions=10", "--set", "generate.budget.max_calls=300"]
    done = fireact("plan", "demo", "--pilot", "0", *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "20 rows planned, 0 done, 20 pending" in done.stdout
    assert "react, reflexion: an upper bound from prompts and limits, NO measurement" in done.stdout
    assert re.search(r"^\| teacher calls +\| +0 \| +<= 160 \| +0 \| +160 \| +<= 160 \|$", done.stdout, re.MULTILINE)
    assert "budget max_calls = 300: suffices" in done.stdout
    assert "1.58 M parameters, full, 2 workers, ddp" in done.stdout
    assert "no GPU: all of it is host memory" in done.stdout
    assert "fireact generate demo --set=generate.n_questions=10 --set=generate.budget.max_calls=300" in done.stdout
    assert done.stdout.splitlines()[-1] == str(tmp_path / "runs" / "demo")
    assert list(tmp_path.iterdir()) == []


def test_what_a_terminal_has_no_sign_for_is_shown_as_an_escape():
    printed = "from fireact_ray.cli.main import run_guarded; run_guarded(lambda: print('Zürich 東'))"
    latin = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run([sys.executable, "-c", printed], env=latin, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"Z\xfcrich \\u6771\n", b"")
