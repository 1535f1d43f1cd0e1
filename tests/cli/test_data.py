"""`fireact data`: what it brings, what it says, and its exit codes; nothing here reaches the network."""

import json
import os
import subprocess
import sys

import pytest

from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.missing import missing_data

QUESTIONS = [{"question": "How deep is Tarn?", "answer": "410 m", "context": [["Tarn", ["A lake.", " 410 m deep."]]]}]
UNREACHABLE = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}  # no test may reach the network


def fireact(*arguments, cwd):
    command = [sys.executable, "-m", "fireact_ray.cli", "data", *arguments]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **UNREACHABLE, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_from_ones_own_questions_to_a_corpus_that_the_recipe_finds(tmp_path, monkeypatch):
    for name in ("train.json", "dev.json"):
        (tmp_path / name).write_text(json.dumps(QUESTIONS))
    code, said, errors = fireact("hotpotqa", "--from", "train=train.json", "--from", "dev=dev.json", cwd=tmp_path)
    assert (code, said.splitlines()) == (
        0,
        [
            "data/hotpotqa/hotpotqa_train.json: your own, taken as it is",
            "data/hotpotqa/hotpotqa_dev.json: your own, taken as it is",
            "train: 1 questions",
            "dev: 1 questions; 1 of them are also in train",
        ],
    ), errors
    out = "data/hotpotqa/abstracts.jsonl"
    code, said, errors = fireact("corpus", "hotpotqa", "--out", out, cwd=tmp_path)
    assert (code, said.splitlines()) == (
        0,
        [
            "hotpotqa_train.json: 1 rows, 1 passages written",
            "hotpotqa_dev.json: 1 rows, 0 passages written, 1 repeated word for word",
            f"1 passages; search them by search.backend.corpus: {out}",
        ],
    ), errors
    assert json.loads((tmp_path / out).read_text()) == {"title": "Tarn", "text": "A lake. 410 m deep."}
    code, _, errors = fireact("corpus", "abstracts", "--out", out, cwd=tmp_path)
    assert (code, errors) == (
        2,
        f"{out} is there, and abstracts is not here. Name another --out, or remove that file.\n",
    )
    monkeypatch.chdir(tmp_path)
    assert missing_data(load_recipe("hotpotqa", [])) == []


def test_what_a_recipe_misses_is_named_with_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert missing_data(load_recipe("hotpotqa", [])) == [
        f"task.path: {tmp_path}/data/hotpotqa does not exist. `fireact data hotpotqa` gets it.",
        f"search.backend.corpus: {tmp_path}/data/hotpotqa/abstracts.jsonl does not exist. "
        f"`fireact data corpus hotpotqa --out {tmp_path}/data/hotpotqa/abstracts.jsonl` makes it.",
    ]
    assert missing_data(load_recipe("demo", [])) == []


@pytest.mark.slow
def test_a_host_that_cannot_be_reached_is_one_failure_with_every_address(tmp_path):
    code, said, errors = fireact("bamboogle", cwd=tmp_path)
    assert (code, said) == (1, "")
    assert "bamboogle.csv could not be downloaded:" in errors
    assert "https://raw.githubusercontent.com/anchen1011/FireAct/" in errors
    assert "get the file by other means and give it by --from" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_list_shows_every_source(tmp_path):
    code, said, _ = fireact("--list", cwd=tmp_path)
    assert code == 0
    for words in (("hotpotqa", "566.4 MB", "missing", "CC BY-SA 4.0"), ("psgs_w100", "unknown")):
        assert any(all(word in line for word in words) for line in said.splitlines())
