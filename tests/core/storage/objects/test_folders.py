"""Files and tables of a run folder in a bucket."""

import os
import subprocess
import sys

import pyarrow as pa
import pytest
from fakes import finished_trajectory
from object_store import behind
from pyarrow import fs

from fireact_ray.core.storage import object_files
from fireact_ray.core.storage.buckets import StoreDenied
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import finished_keys, read_trajectories, set_aside_broken, write_trajectories

pytestmark = pytest.mark.slow


def test_a_folder_holds_what_was_written_there_and_nothing_else(run, store):
    run.write("recipe.yaml", "name: é")
    (run / "trajectories").write_json("manifest.json", {"parts": []})
    assert run.read("recipe.yaml") == "name: é".encode()
    assert (run / "trajectories").read_json("manifest.json") == {"parts": []}
    assert (run.exists("recipe.yaml"), run.exists("trajectories"), run.exists("other")) == (True, False, False)
    assert run.names() == ["recipe.yaml"]
    assert (run / "trajectories").names(".json") == ["manifest.json"]
    assert [file.name for file in run.files_below("")] == ["recipe.yaml", "trajectories/manifest.json"]
    assert run.size("recipe.yaml") == 8
    run.delete("recipe.yaml")
    run.delete("recipe.yaml")
    home = run.uri.removeprefix("s3://data/")
    assert [key for key in store.keys("data") if key.startswith(home)] == [f"{home}/trajectories/manifest.json"]


def test_a_missing_folder_is_an_empty_one_and_a_missing_file_is_not_found(run):
    assert (run / "nowhere").names() == []
    assert (run / "nowhere").files_below("") == []
    with pytest.raises(FileNotFoundError):
        run.read("nothing")


def test_names_with_spaces_percents_and_letters_of_others_come_back(run):
    for name in ("a b.txt", "50%25.txt", "é+&=.txt"):
        run.write(name, name)
    assert sorted(run.names()) == sorted(["50%25.txt", "a b.txt", "é+&=.txt"])
    assert run.read("50%25.txt") == b"50%25.txt"


def test_the_empty_objects_that_mark_folders_are_no_files(run, store):
    home = run.uri.removeprefix("s3://data/")
    for key in (f"{home}/", f"{home}/trajectories/"):
        store.client.put_object(Bucket="data", Key=key, Body=b"")
    run.write("a.json", "{}")
    (run / "trajectories").write("b.json", "{}")
    assert run.names() == ["a.json"]
    assert [file.name for file in run.files_below("")] == ["a.json", "trajectories/b.json"]
    store.client.put_object(Bucket="data", Key=f"{home}/checkpoint_1/", Body=b"")
    assert run.folders() == ["trajectories"]


@pytest.mark.parametrize("copied_bytes", [5_000_000_000, 3])
def test_a_folder_is_renamed_with_all_that_is_in_it_also_what_is_too_large_for_one_copy(run, monkeypatch, copied_bytes):
    monkeypatch.setattr(object_files, "_COPIED_BYTES", copied_bytes)
    (run / "checkpoint_1").write("state.pt", b"state")
    (run / "checkpoint_1/sub").write("a.txt", b"a")
    (run / "checkpoint_10").write("state.pt", b"of another")
    run.rename("checkpoint_1", "broken-checkpoint_1")
    assert run.folders() == ["broken-checkpoint_1", "checkpoint_10"]
    assert [file.name for file in (run / "broken-checkpoint_1").files_below("")] == ["state.pt", "sub/a.txt"]
    assert (run / "broken-checkpoint_1").read("state.pt") == b"state"
    run.delete_folder("broken-checkpoint_1")
    assert run.folders() == ["checkpoint_10"]


def test_a_file_that_could_not_be_sent_when_it_was_closed_is_an_error(run, door):
    there = behind(door, run)
    there.write("warm.txt", "")
    door.trouble = lambda method, path: "denied" if method == "PUT" else None
    filesystem, place = (there / "snapshot.json").where
    with (
        pytest.raises(StoreDenied, match=r"snapshot\.json: AccessDenied"),
        filesystem.open_output_stream(place) as file,
    ):
        file.write(b"{}")


def test_a_folder_goes_up_with_the_file_last_that_says_it_is_whole_and_a_refusal_is_an_error(run, door, tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("checkpoint.json", "zz.pt", "sub/a.pt"):
        (tmp_path / name).write_text(name)
    files, key = behind(door, run).objects
    files.put_folder(f"{key}/checkpoint_1", tmp_path, "checkpoint.json")
    sent = [path.rpartition("checkpoint_1/")[2] for method, path in door.asked if method == "PUT"]
    assert sent == ["sub/a.pt", "zz.pt", "checkpoint.json"]
    assert (run / "checkpoint_1/sub").read("a.pt") == b"sub/a.pt"
    door.trouble = lambda method, path: "denied" if method == "PUT" and path.endswith("zz.pt") else None
    with pytest.raises(StoreDenied):
        files.put_folder(f"{key}/checkpoint_2", tmp_path, "checkpoint.json")
    assert [file.name for file in (run / "checkpoint_2").files_below("")] == ["sub/a.pt"]


def test_trajectories_are_written_read_and_set_aside(run, store):
    folder = run / "trajectories"
    write_trajectories(folder, [finished_trajectory("b"), finished_trajectory("a")], "w0")
    folder.write("part-w1-00000000.parquet", b"PAR1 torn")
    assert set_aside_broken(folder) == ["part-w1-00000000.parquet"]
    assert [one.trajectory_id for one in read_trajectories(folder)] == ["a", "b"]
    assert finished_keys(folder) == {"a", "b"}
    assert (folder / "broken").names() == ["part-w1-00000000.parquet"]
    assert [group.n_rows for group in folder.row_groups()] == [2]
    assert folder.row_groups()[0].read().num_rows == 2


def test_a_table_of_many_megabytes_goes_up_in_parts_and_comes_back(run):
    table = pa.table({"a": [os.urandom(1_000_000) for _ in range(12)]})
    run.write_tables("big.parquet", [table, table], table.schema)
    assert run.read_table("big.parquet").num_rows == 24
    assert sum(batch.num_rows for batch in run.read_batches("big.parquet")) == 24


def test_what_fails_half_way_leaves_nothing(run):
    table = pa.table({"a": [os.urandom(1_000_000) for _ in range(8)]})

    def tables():
        yield table
        raise RuntimeError("the rows after these")

    with pytest.raises(RuntimeError):
        run.write_tables("big.parquet", tables(), table.schema)
    assert not run.exists("big.parquet")


def test_pyarrow_and_a_pickled_folder_find_the_same_files(run):
    import pickle

    run.write("a.json", "{}")
    filesystem, path = pickle.loads(pickle.dumps(Folder(run.uri)))._resolve()  # noqa: S301
    again = pickle.loads(pickle.dumps(filesystem))  # noqa: S301
    assert again.get_file_info(f"{path}/a.json").is_file
    with filesystem.open_output_stream(f"{path}/b.json") as stream:
        stream.write(b"{}")
    with run.opened("b.json") as file:
        file.seek(1)
        assert file.read() == b"}"
    assert isinstance(filesystem, fs.PyFileSystem)


def test_a_process_that_used_a_bucket_ends(run):
    """pyarrow's own S3 hung here at times (apache/arrow 50188)."""
    code = (
        "from fireact_ray.core.storage.folder import Folder\n"
        f"kept = Folder({run.uri!r}); kept.write('a.json', '{{}}'); held = kept._resolve(); print(kept.names())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "['a.json']\n"), done.stderr
