"""`fireact data`: what it brings, what it says, and its exit codes; nothing here reaches the network."""

import json

import pytest
from typer.testing import CliRunner

from fireact_ray.cli.app import app
from fireact_ray.core.errors import DataError, InputError
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.missing import missing_data

QUESTIONS = [{"question": "How deep is Tarn?", "answer": "410 m", "context": [["Tarn", ["A lake.", " 410 m deep."]]]}]
UNREACHABLE = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}  # no test may reach the network


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fireact_data(*arguments):
    """The lines that were printed. Raises the command's error."""
    done = CliRunner().invoke(app, ["data", *arguments], env={**UNREACHABLE, "COLUMNS": "200"})
    if done.exception is not None:
        raise done.exception
    return done.stdout.splitlines()


def test_from_ones_own_questions_to_a_corpus_that_the_recipe_finds(tmp_path):
    for name in ("train.json", "dev.json"):
        (tmp_path / name).write_text(json.dumps(QUESTIONS))
    assert fireact_data("hotpotqa", "--from", "train=train.json", "--from", "dev=dev.json") == [
        "data/hotpotqa/hotpotqa_train.json: your own, taken as it is",
        "data/hotpotqa/hotpotqa_dev.json: your own, taken as it is",
        "train: 1 questions",
        "dev: 1 questions; 1 of them are also in train",
    ]
    out = "data/hotpotqa/abstracts.jsonl"
    assert fireact_data("corpus", "hotpotqa", "--out", out) == [
        "hotpotqa_train.json: 1 rows, 1 passages written",
        "hotpotqa_dev.json: 1 rows, 0 passages written, 1 repeated word for word",
        f"1 passages; search them by search.backend.corpus: {out}",
    ]
    assert json.loads((tmp_path / out).read_text()) == {"title": "Tarn", "text": "A lake. 410 m deep."}
    assert missing_data(load_recipe("hotpotqa", [])) == []
    with pytest.raises(InputError, match=f"{out} is there, and abstracts is not here"):
        fireact_data("corpus", "abstracts", "--out", out)


def test_a_corpus_may_be_made_within_the_folder_that_it_is_made_of(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.jsonl").write_text('{"text": "A lake."}\n')
    first = fireact_data("corpus", "data", "--out", "data/corpus.jsonl")
    assert first == [
        "data: 1 rows, 1 passages written",
        "1 passages; search them by search.backend.corpus: data/corpus.jsonl",
    ]
    assert ", made of these before;" in fireact_data("corpus", "data", "--out", "data/corpus.jsonl")[1]


def test_what_a_recipe_misses_is_named_with_the_command_that_gets_it(tmp_path):
    assert missing_data(load_recipe("hotpotqa", [])) == [
        f"task.path: {tmp_path}/data/hotpotqa does not exist. `fireact data hotpotqa` gets it.",
        f"search.backend.corpus: {tmp_path}/data/hotpotqa/abstracts.jsonl does not exist. "
        f"`fireact data corpus hotpotqa --out {tmp_path}/data/hotpotqa/abstracts.jsonl` makes it.",
    ]
    assert missing_data(load_recipe("demo", [])) == []


def test_a_host_that_cannot_be_reached_is_one_failure_with_every_address(tmp_path, monkeypatch):
    monkeypatch.setattr("fireact_ray.tasks.fetching.download.asyncio.sleep", _at_once)
    with pytest.raises(DataError) as caught:
        fireact_data("bamboogle")
    message = str(caught.value)
    assert message.startswith("bamboogle.csv could not be downloaded:\n  https://raw.githubusercontent.com/")
    assert "connection refused by the proxy (127.0.0.1:1)" in message
    assert "get the file by other means and give it by --from" in message
    assert list((tmp_path / "data" / "bamboogle").iterdir()) == []


async def _at_once(_seconds):
    pass


def test_the_list_shows_every_source():
    said = fireact_data("--list")
    for words in (("hotpotqa", "566.4 MB", "missing", "CC BY-SA 4.0"), ("psgs_w100", "unknown")):
        assert any(all(word in line for word in words) for line in said)
