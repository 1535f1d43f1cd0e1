"""What others wrote is kept: readmes, descriptions of datasets, and the rejections of a file of the same name."""

import json

import pytest

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.data.formats.export_folder import demand_ours, digest_of, with_entry, written_before
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.import_file import import_file

ENTRY = {"file_name": "alpaca.json"}
GOOD = {
    "messages": [
        {"role": "user", "content": "How deep is Lake Tarn?"},
        {"role": "assistant", "content": "Thought: I know.\nAction: finish[410 m]"},
    ]
}


def test_a_file_that_no_export_wrote_or_that_was_edited_since_is_kept(tmp_path):
    folder = Folder(str(tmp_path))
    demand_ours(folder, {"README.md": b"card"}, {})
    (tmp_path / "README.md").write_text("# my project")
    with pytest.raises(InputError, match=r"README\.md there: not written by an export, or edited since\. It is kept"):
        demand_ours(folder, {"README.md": b"card"}, {})
    demand_ours(folder, {"README.md": b"card"}, {"README.md": digest_of(b"# my project")})
    demand_ours(folder, {"README.md": b"# my project"}, {})
    with pytest.raises(InputError, match=r"README\.md there"):
        demand_ours(folder, {"README.md": b"card"}, {"README.md": digest_of(b"# before it was edited")})


def test_a_description_of_datasets_keeps_its_other_entries(tmp_path):
    (tmp_path / "dataset_info.json").write_text(json.dumps({"theirs": {"file_name": "x.json"}}))
    merged = json.loads(with_entry(Folder(str(tmp_path)), "lakes", ENTRY, {}))
    assert merged == {"theirs": {"file_name": "x.json"}, "lakes": ENTRY}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ('{"lakes": {"file_name": "theirs.json"}}', r"describes another dataset 'lakes' \(theirs\.json\)"),
        ('{"features": {}, "citation": ""}', "is not LLaMA-Factory's"),
        ("[]", "is not LLaMA-Factory's"),
        ('{"lakes": ', "is not LLaMA-Factory's"),
    ],
)
def test_a_description_that_is_not_ours_to_change_is_refused(there, said, tmp_path):
    (tmp_path / "dataset_info.json").write_text(there)
    with pytest.raises(InputError, match=said):
        with_entry(Folder(str(tmp_path)), "lakes", ENTRY, {})


def test_an_entry_of_an_earlier_export_is_ours_to_change(tmp_path):
    (tmp_path / "dataset_info.json").write_text('{"lakes": {"file_name": "sharegpt.json"}}')
    merged = json.loads(with_entry(Folder(str(tmp_path)), "lakes", ENTRY, {"sharegpt.json": "0"}))
    assert merged == {"lakes": ENTRY}


def test_an_export_json_of_somebody_else_is_refused(tmp_path):
    assert written_before(Folder(str(tmp_path))) == {}
    (tmp_path / "export.json").write_text("[1]")
    with pytest.raises(InputError, match="is not one of ours"):
        written_before(Folder(str(tmp_path)))


@pytest.fixture
def recipe(tmp_path):
    return load_recipe("demo", [f"output_dir={tmp_path}/runs", "name=r"])


def lines(file, *rows):
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_rejections_of_namesakes_are_all_listed_and_those_of_the_same_file_anew(recipe, tmp_path):
    a, b = tmp_path / "A" / "train.jsonl", tmp_path / "B" / "train.jsonl"
    folder = import_file(recipe, lines(a, GOOD, {"a": 1}))
    import_file(recipe, lines(b, GOOD, GOOD, {"b": 1}))
    listed = folder.read_json("rejections-train.json")
    assert [(row["file"], row["row"]) for row in listed] == [(str(a), 2), (str(b), 3)]
    import_file(recipe, lines(a, GOOD))
    assert [row["file"] for row in folder.read_json("rejections-train.json")] == [str(b)]


def test_an_import_of_nothing_fails_and_says_why_of_each_row(recipe, tmp_path):
    with pytest.raises(DataError, match=r"no row is a trajectory \(no_question 1, unparsable 1\)") as caught:
        import_file(recipe, lines(tmp_path / "x.jsonl", {"messages": []}, {"x": 1}))
    assert caught.value.exit_code == 1
    run = Folder(recipe.run_dir) / "trajectories"
    assert [row["kind"] for row in run.read_json("rejections-x.json")] == ["no_question", "unparsable"]
