"""The table of sources says of every file where it is and how it is known."""

import re
from pathlib import Path

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.tasks import TASKS, load_questions
from fireact_ray.tasks.fetching.listing import State, listed
from fireact_ray.tasks.fetching.sources import how_to_get, source, sources


@pytest.mark.parametrize("name", sources())
def test_a_source_has_all_that_a_stranger_needs(name):
    found = source(name)
    assert found.task is None or found.task in TASKS
    assert bool(found.splits) == (found.task is not None)
    assert found.home.startswith("https://")
    for file in found.files:
        assert all(re.match(r"https?://[a-z.]+/", url) for url in file.urls)
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)


@pytest.mark.parametrize("name", sources())
def test_every_source_is_named_in_the_documentation(name):
    document = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    section = document.split("## Get the data")[1].split("## A trajectory")[0]
    assert name in section


def test_only_dprs_passages_have_no_published_checksum():
    files = [file for one in sources().values() for file in one.files]
    assert [file.name for file in files if file.sha256 is None] == ["psgs_w100.tsv.gz"]


def test_what_a_shipped_recipe_needs_comes_to_where_it_looks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe("hotpotqa", []).task.path == str(tmp_path / source("hotpotqa").folder)
    assert how_to_get("hotpotqa", str(tmp_path / "data/hotpotqa")) == " `fireact data hotpotqa` gets it."
    assert how_to_get("hotpotqa", "my data") == " `fireact data hotpotqa --to 'my data'` gets it."
    assert how_to_get("jsonl", None) == ""


@pytest.mark.parametrize("task", ["hotpotqa", "strategyqa", "bamboogle", "mmlu"])
def test_a_task_without_its_data_names_the_command(task, tmp_path):
    for place in (str(tmp_path), str(tmp_path / "none"), None):
        with pytest.raises(InputError, match=f"`fireact data {task}"):
            load_questions(task, place, "test")


def test_an_unknown_source_is_told_its_neighbour():
    with pytest.raises(InputError, match="Did you mean 'hotpotqa'"):
        source("hotpot")


def test_the_list_says_what_is_there_what_is_begun_and_what_is_missing(tmp_path):
    (tmp_path / "hotpot_train_v1.1.json").write_text("[]")
    (tmp_path / "hotpot_dev_distractor_v1.json.part").write_text("[{")
    states = {one.path.name: (one.state, one.n_here) for one in listed(tmp_path)}
    assert states["hotpot_train_v1.1.json"] == (State.THERE, 2)
    assert states["hotpot_dev_distractor_v1.json"] == (State.PARTLY, 2)
    assert states["data.tar"] == (State.MISSING, 0)
