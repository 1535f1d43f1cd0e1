"""The command line in processes of its own: exit codes, one-line errors, output folders."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import pytest
from fakes import question

from fireact_ray.cli import app as cli
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Action, Observation, Score, Step, StopReason, Trajectory

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """What commands load, once for all of them."""
    import transformers  # noqa: F401

    from fireact_ray.stages import convert, evaluate, forecast, generate, serve, train  # noqa: F401


def fireact(*arguments: str, cwd=None) -> subprocess.CompletedProcess:
    """`fireact ...` in a fork of this process, in which no Ray runs."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        if (pid := os.fork()) == 0:
            os._exit(_run_command(arguments, cwd, stdout.fileno(), stderr.fileno()))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, code, stdout.read(), stderr.read())


def _run_command(arguments: tuple[str, ...], cwd, *output: int) -> int:
    """The exit code. Restores what the test runner has put in the place of files and handlers."""
    signal.alarm(120)
    for number, name in enumerate(("stdout", "stderr"), start=1):
        os.dup2(output[number - 1], number)
        setattr(sys, name, os.fdopen(number, "w", closefd=False))
    logging.getLogger().handlers.clear()
    os.chdir(cwd or Path.cwd())
    sys.argv = ["fireact", *arguments]
    code = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 (nothing may get back into the fork's test session)
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


RECIPE = """
name: r
task: {{name: jsonl, path: {questions}}}
search: {{backend: {{kind: index, corpus: {corpus}}}}}
teacher: {{model: {{kind: openai, name: m, api_key_env: NO_SUCH_KEY}}}}
student: {{base_model: {model}}}
"""


@pytest.fixture
def recipe(tmp_path):
    """A recipe whose files all exist; tests break one of them."""
    (tmp_path / "q.jsonl").write_text('{"question": "Who?", "answer": "Bo"}\n')
    (tmp_path / "c.jsonl").write_text('{"title": "Bo", "text": "Bo did it."}\n')
    (tmp_path / "model").mkdir()

    def write(**paths: str) -> str:
        defaults = {"questions": tmp_path / "q.jsonl", "corpus": tmp_path / "c.jsonl", "model": tmp_path / "model"}
        (tmp_path / "r.yaml").write_text(RECIPE.format(**{**defaults, **paths}))
        return str(tmp_path / "r.yaml")

    return write


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


def run_with_one_row(tmp_path) -> str:
    steps = (
        Step("Look.", Action("search", "zem"), Observation("Zem \x1b[31mis\x1b]0;x\x07 a city")),
        Step("So.", Action("finish", "Ila Dun"), None),
    )
    row = Trajectory("k", question(), "react", "m", 0, steps, StopReason.FINISHED, Score(1.0, 1.0))
    write_trajectories(Folder(str(tmp_path / "trajectories")), [row], "w")
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    return str(tmp_path)


def test_show_prints_the_steps_and_no_control_characters(tmp_path):
    done = fireact("show", run_with_one_row(tmp_path))
    assert done.returncode == 0
    assert "Question: Who wrote The Road to Zem?" in done.stdout
    assert "Action: search[zem]" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_show_tokens_marks_exactly_what_is_trained(tmp_path):
    done = fireact("show", run_with_one_row(tmp_path), "--tokens")
    assert done.returncode == 0, done.stderr
    assert "⟦Thought: Look.\nAction: search[zem]<eos>⟧" in done.stdout
    assert "⟦Thought: So.\nAction: finish[Ila Dun]<eos>⟧" in done.stdout
    assert done.stdout.count("⟦") == 2


def test_a_file_without_trajectories_is_refused_by_what_was_found(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    done = fireact("import", "demo", str(tmp_path / "x.json"), "--set", f"output_dir={tmp_path}/runs")
    assert done.returncode == 2
    assert not (tmp_path / "runs").exists()


LINTED = [
    {"question": "Who wrote Zem?", "observation": "Ila Dun wrote Zem.", "reward": "True"},
    {"question": "Who built Tornby?", "observation": "None", "reward": "False"},
]


@pytest.fixture
def alpaca(tmp_path) -> str:
    rows = [
        {
            "instruction": row["question"],
            "input": "",
            "output": "Thought: I look it up.\nAction: search[it]\n"
            f"Observation: {row['observation']}\nThought: So.\nAction: finish[Ila Dun]\n"
            f"Observation: Episode finished, reward = {row['reward']}",
        }
        for row in LINTED
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "questions.jsonl").write_text('{"question": "who wrote ZEM"}\n')
    return str(tmp_path / "rows.json")


def test_lint_prints_counts_shares_and_rows_and_writes_all_of_them(alpaca, tmp_path):
    done = fireact("lint", alpaca, "--against", str(tmp_path / "questions.jsonl"), "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    table = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("│")}
    assert [cell.strip() for cell in table["wrong_answer"].split("│")[1:5]] == ["wrong_answer", "1", "50.0 %", "2"]
    assert [cell.strip() for cell in table["leaked_reward"].split("│")[1:5]] == ["leaked_reward", "2", "100.0 %", "1 2"]
    written = json.loads((tmp_path / "out.json").read_text())
    found = {code: rule["rows"] for code, rule in written["rules"].items() if rule["rows"]}
    assert found == {
        "wrong_answer": [2],
        "answer_unseen": [2],
        "empty_observation": [2],
        "leaked_reward": [1, 2],
        "contaminated": [1],
    }
    assert (written["n_rows"], written["unchecked"]) == (2, [])


def test_lint_fails_on_what_it_is_asked_to_fail_on_and_on_nothing_else(alpaca):
    passed = fireact("lint", alpaca, "--fail-on", "unreadable,two_actions")
    failed = fireact("lint", alpaca, "--fail-on", "unreadable,wrong_answer,leaked_reward")
    assert (passed.returncode, failed.returncode) == (0, 1)
    assert "Of 2 rows: wrong_answer: 1 rows, leaked_reward: 2 rows." in failed.stderr


def test_lint_counts_tokens_by_a_tokenizer_and_compares_with_a_recipes_evaluation(alpaca, recipe, tmp_path):
    (tmp_path / "test.jsonl").write_text('{"question": "Who built Tornby?"}\n')
    path = recipe(questions=tmp_path)
    done = fireact(
        "lint", alpaca, "--tokenizer", "nano", "--max-tokens", "3", "--recipe", path, "--fail-on=contaminated"
    )
    assert done.returncode == 1
    assert "contaminated: 1 rows" in done.stderr
    assert "estimated" not in done.stdout
    assert "100.0 %" in next(line for line in done.stdout.splitlines() if "too_long" in line)


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


def test_status_shows_how_a_run_gets_on_and_doctor_that_it_adds_up(tmp_path):
    run = run_with_one_row(tmp_path)
    counts = {"planned": 4, "before": 0, "done": 1, "accepted": 1, "rows_per_minute": 6.0, "eta_s": 30.0}
    times = {"started_at": 1000.0, "updated_at": 1100.0, "running": True}
    (tmp_path / "progress.json").write_text(json.dumps({"label": "generate", **counts, **times}))
    done = fireact("status", run, "--watch")
    assert done.returncode == 0, done.stderr
    assert "generate: 1 of 4 rows, 1 in this session, 1 of them accepted; no sign of life for" in done.stdout
    proof = fireact("doctor", run).stdout.splitlines()[-1]
    assert proof == "all adds up: 0 planned + 1 others = 1 finished + 0 stopped + 0 failed + 0 skipped + 0 pending"
