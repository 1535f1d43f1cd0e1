"""A recipe holds places that mean the same everywhere; what is remembered and published holds names."""

import os
from pathlib import Path

import pytest
import yaml

from fireact_ray.core.errors import InputError, RecipeError
from fireact_ray.core.paths import absolute, absolute_model, below, last_name, named
from fireact_ray.core.settings import NAMES
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.inputs import lock_inputs
from fireact_ray.recipe.loader import load_recipe, to_yaml

NANO_IN_A_JOB = "/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_ab12/fireact_ray/demo/nano/model"
EVERY_PATH = [
    "output_dir=my/runs",
    "replay=old/run",
    "task={name: jsonl, path: data/q.jsonl}",
    "search.backend={kind: index, corpus: data/corpus.jsonl}",
    "search.cache.dir=cache",
    "teacher.model={kind: openai, name: org/gpt, base_url: 'http://127.0.0.1:1/v1', api_key_file: keys/one}",
    "teacher.quota.prices=prices.yaml",
    "student.base_model=./llama",
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return str(tmp_path)


def test_every_path_of_a_recipe_is_absolute_from_the_current_folder_once_it_is_read(here, monkeypatch):
    recipe = load_recipe("demo", EVERY_PATH)
    assert recipe.run_dir == f"{here}/my/runs/demo"
    assert recipe.replay == f"{here}/old/run"
    assert recipe.task.path == f"{here}/data/q.jsonl"
    assert recipe.search.backend.corpus == f"{here}/data/corpus.jsonl"
    assert recipe.search.cache.dir == f"{here}/cache"
    assert recipe.teacher.model.api_key_file == f"{here}/keys/one"
    assert recipe.teacher.quota.prices == f"{here}/prices.yaml"
    assert recipe.student.base_model == f"{here}/llama"
    text = to_yaml(recipe)
    monkeypatch.chdir("/")
    Path(here, "r.yaml").write_text(text)
    assert load_recipe(f"{here}/r.yaml") == recipe, "read elsewhere it says the same"


def test_the_default_output_folder_lies_in_the_current_folder_too(here):
    assert load_recipe("demo").output_dir == f"{here}/runs"


@pytest.mark.parametrize("backend", ["{kind: replay, path: r.jsonl}", "{kind: serper, api_key_file: r.jsonl}"])
def test_paths_of_other_search_backends_are_absolute_too(here, backend):
    dumped = load_recipe("demo", [f"search.backend={backend}"]).search.backend.model_dump()
    assert f"{here}/r.jsonl" in dumped.values()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("s3://bucket/runs", "s3://bucket/runs"),
        ("file:///mnt/runs", "file:///mnt/runs"),
        ("/mnt/runs", "/mnt/runs"),
        ("../runs", "/home/runs"),
        ("runs/../others", "/home/me/others"),
        ("~/runs", "/home/you/runs"),
    ],
)
def test_urls_stay_and_home_is_found(monkeypatch, typed, meant):
    monkeypatch.setenv("HOME", "/home/you")
    monkeypatch.setattr(os, "getcwd", lambda: "/home/me")
    assert absolute(typed) == meant


def test_a_model_is_a_folder_where_there_is_one_and_else_a_name(here):
    Path("org/there").mkdir(parents=True)
    assert absolute_model("org/there") == f"{here}/org/there"
    assert absolute_model("./gone") == f"{here}/gone"
    Path("nano").mkdir()
    assert [absolute_model(name) for name in ("org/model", "nano")] == ["org/model", "nano"]


def test_names_are_the_same_in_every_place(here):
    published = yaml.safe_load(to_yaml(load_recipe("demo", EVERY_PATH), places=False))
    assert here not in str(published)
    assert published["task"]["path"] == "q.jsonl"
    assert published["teacher"]["model"]["name"] == "org/gpt"
    assert published["student"]["base_model"] == "llama"
    one, other = (load_recipe("demo", [f"output_dir={place}"]) for place in ("/a/runs", "/b/runs"))
    assert one.model_dump(context=NAMES) == other.model_dump(context=NAMES)
    assert last_name(NANO_IN_A_JOB) == "nano"
    assert last_name("/models/llama/") == "llama"


@pytest.mark.parametrize("output_dir", ["runs", "./a/b", "/tmp/ray/s/runtime_resources/working_dir_files/p/runs"])
def test_a_run_folder_in_a_jobs_own_copy_of_the_working_folder_is_refused(tmp_path, monkeypatch, output_dir):
    job = tmp_path / "session_1" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    job.mkdir(parents=True)
    monkeypatch.chdir(job)
    with pytest.raises(RecipeError, match=r"output_dir: .*deleted with the job.*--set output_dir=/shared/runs"):
        load_recipe("demo", [f"output_dir={output_dir}"])
    assert load_recipe("demo", [f"output_dir={tmp_path}/runs", "task={name: jsonl, path: q.jsonl}"]).task.path == str(
        job / "q.jsonl"
    ), "what is read may lie there"


def claimed(folder: Folder, model: object) -> None:
    lock_inputs(folder, {"seed": 0, "train": {"base_model": model}}, is_empty=False)


@pytest.mark.parametrize("other", ["/elsewhere/llama", "/other/name", "llama"])
def test_a_claim_does_not_depend_on_where_a_file_lies_only_on_what_it_holds(tmp_path, other):
    folder = Folder(str(tmp_path))
    claimed(folder, named("/models/llama", "abc"))
    claimed(folder, named(other, "abc"))
    with pytest.raises(InputError, match=r"train.base_model: was '\w+' \(content abc\), now '.*' \(content xyz\)"):
        claimed(folder, named(other, "xyz"))


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (NANO_IN_A_JOB, "nano"),
        ("nano", "nano"),
        ("/models/llama", "/mnt/llama"),
        ("data/corpus.jsonl", "/x/corpus.jsonl"),
    ],
)
def test_a_folder_that_remembers_a_path_goes_on_and_knows_the_content_from_then_on(tmp_path, was, now):
    folder = Folder(str(tmp_path))
    folder.write_json("inputs.json", {"seed": 0, "train": {"base_model": was}})
    claimed(folder, named(now, "abc"))
    assert folder.read_json("inputs.json")["train"]["base_model"]["fingerprint"] == "abc"
    with pytest.raises(InputError, match=r"train.base_model"):
        claimed(folder, named(now, "xyz"))


def test_a_folder_that_remembers_a_path_refuses_a_file_of_another_name(tmp_path):
    folder = Folder(str(tmp_path))
    folder.write_json("inputs.json", {"seed": 0, "train": {"base_model": "/models/llama"}})
    with pytest.raises(InputError, match=r"was '/models/llama', now 'mistral' \(content abc\)"):
        claimed(folder, named("/models/mistral", "abc"))


def test_a_file_known_by_its_name_alone_is_compared_by_it(tmp_path):
    folder = Folder(str(tmp_path))
    claimed(folder, named("/a/q.jsonl"))
    claimed(folder, named("/b/q.jsonl", "abc"))
    with pytest.raises(InputError, match=r"base_model"):
        claimed(folder, named("/b/other.jsonl"))
    with pytest.raises(InputError, match=r"base_model"):
        claimed(folder, None)


def test_a_search_corpus_is_remembered_by_its_content(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path / "cache"))
    shaped = {}
    for place, text in (("one", "a"), ("two", "a"), ("three", "b")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "c.jsonl").write_text(f'{{"title": "{text}", "text": "t"}}\n')
        overrides = [f"search.backend={{kind: index, corpus: {tmp_path}/{place}/c.jsonl}}"]
        shaped[place] = load_recipe("demo", overrides).search.shaping()
    assert shaped["one"] == shaped["two"] != shaped["three"]
    assert str(tmp_path) not in str(shaped)


def test_what_lies_below_a_place_keeps_the_options_of_its_url():
    assert below("runs/", "demo") == "runs/demo"
    assert below("/a/b?c", "d") == "/a/b?c/d"
    assert below("s3://data/runs?scheme=http&region=x", "demo") == "s3://data/runs/demo?scheme=http&region=x"
    recipe = load_recipe("demo", ["output_dir=s3://data/runs?region=x"])
    assert recipe.run_dir == "s3://data/runs/demo?region=x"
    assert (Folder(recipe.run_dir) / "model").parent == Folder(recipe.run_dir)
    assert (Folder("/runs/demo") / "model").parent == Folder("/runs/demo")


def test_a_place_that_is_no_text_is_refused_with_what_to_set():
    assert absolute("/runs/lücken") == "/runs/lücken"
    with pytest.raises(InputError, match=r"'/runs/l\\udcfccken' is not UTF-8.*LC_ALL=C\.UTF-8"):
        absolute(os.fsdecode("/runs/lücken".encode("latin-1")))
