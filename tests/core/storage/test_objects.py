"""A run folder in a bucket: a real S3 server on loopback, behind a door that is busy, denies or loses answers."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from fakes import finished_trajectory
from object_store import Door, door_to, object_store
from pyarrow import fs

from fireact_ray.cli.main import _act
from fireact_ray.core.errors import DataError, InputError, WriteFailed
from fireact_ray.core.storage import buckets, source
from fireact_ray.core.storage.appending import MERGED_SEGMENTS, AppendedSegments, appended_lines
from fireact_ray.core.storage.fetched import fetched
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import holder, run_lease
from fireact_ray.core.storage.lease_file import FILE, lease_file
from fireact_ray.core.storage.trajectories import finished_keys, read_trajectories, set_aside_broken, write_trajectories

pytestmark = pytest.mark.slow

KEYS = {"AWS_ACCESS_KEY_ID": "a-name", "AWS_SECRET_ACCESS_KEY": "a-secret-of-ours"}


@pytest.fixture(scope="module")
def store():
    with object_store() as found:
        found.bucket("data")
        yield found


@pytest.fixture
def run(store, monkeypatch, request) -> Folder:
    """A folder of its own in the bucket, found by the environment."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": store.endpoint}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(buckets, "_opened", {})
    return Folder(f"s3://data/{request.node.name}")


@pytest.fixture
def door(store, run):
    with door_to(store.endpoint) as found:
        yield found


def behind(door: Door, run: Folder) -> Folder:
    address = door.endpoint.removeprefix("http://").replace(":", "%3A")
    return Folder(f"{run.uri}?endpoint_override={address}&scheme=http&region=us-east-1")


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


def test_a_busy_store_and_cut_connections_are_outlasted(run, door):
    troubles = iter(["busy", "reset", "busy", "lost", "busy", "reset"])
    there = behind(door, run)
    there.write("warm.txt", "")
    door.trouble = lambda method, path: next(troubles, None)
    there.write("a.txt", "once")
    assert there.read("a.txt") == b"once"
    assert there.names() == ["a.txt", "warm.txt"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("denied", r"refuses this process\. Give it credentials .* \(AccessDenied\)"),
        ("busy", r"s3://data: .* \(SlowDown\)"),
        ("reset", r"does not answer\. Check the network"),
        ("hang", r"does not answer\. Check the network"),
    ],
)
def test_a_store_that_cannot_be_worked_with_is_told_in_a_sentence_without_secrets(
    run, door, trouble, said, monkeypatch
):
    monkeypatch.setattr(buckets, "_FIRST_S", 2.0)
    door.trouble = lambda method, path: trouble
    with pytest.raises(InputError, match=said) as refused:
        behind(door, run).exists("recipe.yaml")
    assert "\n" not in str(refused.value) and "a-secret" not in str(refused.value)


def test_a_store_that_refuses_in_the_middle_ends_a_command_with_a_sentence(run, door, capsys):
    there = behind(door, run)
    there.write("a.txt", "")
    door.trouble = lambda method, path: "denied"
    with pytest.raises(SystemExit) as ended:
        _act(lambda: there.read("a.txt"))
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith(
        "a.txt: AccessDenied. What is written there is kept: run the same command again.\n"
    )


def test_an_interrupt_ends_the_wait_for_a_store_that_hangs(run, door):
    there = behind(door, run)
    there.write("a.txt", "")

    def interrupted(method: str, path: str) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "hang"

    door.trouble = interrupted
    with pytest.raises(KeyboardInterrupt):
        there.read("a.txt")


def test_a_missing_bucket_is_told_in_a_sentence(run):
    with pytest.raises(InputError, match=r"s3://nowhere-at-all: there is no such bucket at http://127"):
        Folder("s3://nowhere-at-all/r").names()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3:///r", r"no bucket is named"),
        ("s3://data/r?regoin=x", r"unknown options \['regoin'\]"),
    ],
)
def test_a_uri_that_names_no_place_is_refused(uri, said):
    with pytest.raises(InputError, match=said):
        Folder(uri).names()


def test_a_write_that_is_denied_in_the_middle_is_a_write_that_failed(run, door):
    there = behind(door, run)
    there.write("a.txt", "")
    door.trouble = lambda method, path: "denied" if method == "PUT" else None
    with pytest.raises(WriteFailed, match=r"b\.txt: cannot be written \(.*AccessDenied\)"):
        there.write("b.txt", "")


def test_lines_are_kept_in_segments_that_are_merged_and_each_read_once(run, store):
    writer = AppendedSegments(run, "w0-x")
    for number in range(MERGED_SEGMENTS + 2):
        writer.append(b"%d\n" % number)
        writer.keep()
    expected = [b"%d" % number for number in range(MERGED_SEGMENTS + 2)]
    assert list(appended_lines(run)) == expected
    assert run.names() == ["w0-x-000000-000099.jsonl", "w0-x-000100.jsonl", "w0-x-000101.jsonl"]
    run.write("w0-x-000007.jsonl", "7\n")  # which a writer that died had not deleted yet
    assert list(appended_lines(run)) == expected
    writer.append(b"last\n")
    writer.close()
    assert list(appended_lines(run)) == [*expected, b"last"]
    assert "w0-x-000100-000102.jsonl" in run.names()


def test_a_reader_that_listed_segments_before_they_were_merged_reads_each_line_once(run, monkeypatch):
    writer = AppendedSegments(run, "w0-x")
    for number in range(3):
        writer.append(b"%d\n" % number)
        writer.keep()
    names, calls = run.names(), []

    def listed(folder, suffix=""):
        calls.append(suffix)
        if len(calls) > 1:
            return Folder.names(folder, suffix)
        writer.close()
        return names

    class Late(Folder):
        names = listed

    assert list(appended_lines(Late(run.uri))) == [b"0", b"1", b"2"]
    assert len(calls) == 2


def test_what_could_not_be_written_is_kept_by_the_next_write(run, door):
    there = behind(door, run)
    writer = AppendedSegments(there, "w0-x")
    writer.append(b"a\n")
    there.exists("x")
    door.trouble = lambda method, path: "denied" if method == "PUT" else None
    with pytest.raises(WriteFailed):
        writer.keep()
    door.trouble = lambda method, path: None
    writer.append(b"b\n")
    writer.close()
    assert list(appended_lines(there)) == [b"a", b"b"]


def test_a_second_command_in_a_folder_of_a_bucket_is_refused_while_the_first_lives(run):
    with run_lease(run, "fireact generate"):
        with pytest.raises(InputError, match="`fireact generate`"), in_another_thread_of_life(run):
            pass
        assert holder(run).command == "fireact generate"
    assert holder(run) is None
    with run_lease(run, "fireact convert", wait=pytest.fail):
        assert holder(run).command == "fireact convert"


def test_a_killed_commands_lease_is_taken_over(run):
    code = (
        "import os; from fireact_ray.core.storage.lease import run_lease\n"
        "from fireact_ray.core.storage.folder import Folder\n"
        f"with run_lease(Folder({run.uri!r}), 'fireact generate'): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert holder(run).command == "fireact generate"
    with run_lease(run, "fireact convert", wait=pytest.fail):
        assert holder(run).command == "fireact convert"


def test_of_many_that_begin_at_once_one_gets_the_folder(run, door):
    there = behind(door, run)
    begin, got, refused = threading.Barrier(8), [], []
    release = threading.Event()

    def command(number: int) -> None:
        begin.wait()
        try:
            with run_lease(there, f"fireact {number}"):
                got.append(number)
                release.wait(30)
        except InputError:
            refused.append(number)
            if len(refused) == 7:
                release.set()

    threads = [threading.Thread(target=command, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)


@pytest.mark.parametrize("trouble", ["lost", "busy", "reset"])
def test_a_lease_whose_answer_is_lost_is_still_held(run, door, trouble):
    """Sent again, the write is refused because of itself."""
    there, puts = behind(door, run), []

    def once(method, path):
        if method == "PUT" and path.endswith(f"/{FILE}"):
            puts.append(path)
            return trouble if len(puts) == 1 else None
        return None

    door.trouble = once
    with run_lease(there, "fireact generate", wait=lambda seconds: None):
        assert holder(there).command == "fireact generate"
    assert holder(there) is None


def test_a_lease_is_renewed_by_its_version_and_a_stolen_one_is_not(run):
    file = lease_file(run)
    assert file.replace(None, b"one", pytest.fail)
    first = file.read()
    assert file.replace(first, b"two", pytest.fail)
    assert not file.replace(first, b"three", pytest.fail)
    assert not file.replace(None, b"three", pytest.fail)
    file.remove(first)
    assert file.read().content == b"two"
    file.remove(file.read())
    assert file.read().is_free


def test_a_store_that_ignores_conditions_is_refused(run, door):
    there = behind(door, run)
    door.deaf = True
    refused = pytest.raises(InputError, match=r"ignores the conditions of writes \(If-None-Match\)")
    with refused, run_lease(there, "fireact generate"):
        pass
    assert holder(there) is None


def test_readers_neither_write_nor_are_refused(run, door, capsys):
    from rich.console import Console

    from fireact_ray.cli.status import show_status

    there = behind(door, run)
    there.write("recipe.yaml", "name: r")
    write_trajectories(there / "trajectories", [finished_trajectory()], "w")
    with run_lease(there, "fireact generate"):
        door.asked.clear()
        show_status(there, Console(quiet=True))
        assert {method for method, _ in door.asked} <= {"GET", "HEAD"}


def test_a_process_that_used_a_bucket_ends(run):
    """pyarrow's own S3 hung here at times (apache/arrow 50188)."""
    code = (
        "from fireact_ray.core.storage.folder import Folder\n"
        f"kept = Folder({run.uri!r}); kept.write('a.json', '{{}}'); held = kept._resolve(); print(kept.names())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "['a.json']\n"), done.stderr


def test_a_secret_is_in_no_message(run, door):
    there = Folder(behind(door, run).uri.replace("s3://", "s3://a-name:a-secret-of-theirs@"))
    door.trouble = lambda method, path: "denied"
    with pytest.raises((InputError, DataError)) as refused:
        there.names()
    assert "a-secret" not in str(refused.value)
    assert "a-secret" not in repr(there.objects)
    assert json.dumps(str(there.objects[0].bucket)) == '"s3://data"'


def in_another_thread_of_life(run: Folder):
    """A lease as another command would ask for it: this one's is not shared with it."""
    from contextlib import contextmanager

    @contextmanager
    def asked():
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                with run_lease(run, "fireact convert"):
                    pass
            except InputError as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        for error in errors:
            raise error
        yield

    return asked()


def test_a_folder_of_a_bucket_is_fetched_once_for_a_machine_and_anew_when_it_changes(run, tmp_path, monkeypatch, door):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    there = behind(door, run) / "base"
    there.write("config.json", "{}")
    (there / "sub").write("a.safetensors", b"x" * 9_000_000)
    copy = Path(fetched(there.uri))
    assert (copy.name, (copy / "config.json").read_text()) == ("base", "{}")
    assert (copy / "sub/a.safetensors").stat().st_size == 9_000_000
    door.asked.clear()
    assert fetched(there.uri) == str(copy)
    assert all("list-type" in path for _, path in door.asked), "a copy is only looked for"
    assert [path.name for path in Path(fetched(there.uri, without=(".safetensors",))).iterdir()] == ["config.json"]
    there.write("README.md", "for people")
    assert fetched(there.uri) == str(copy)
    there.write("config.json", "{ }")
    assert Path(fetched(there.uri), "config.json").read_text() == "{ }"
    assert (copy / "config.json").read_text() == "{}", "who has it open keeps it"


def test_one_object_is_fetched_as_a_file_and_a_path_is_its_own_place(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    run.write("corpus.jsonl", '{"text": "t"}\n')
    assert Path(fetched((run / "corpus.jsonl").uri)).read_text() == '{"text": "t"}\n'
    assert fetched("/some/place") == "/some/place"
    with pytest.raises(InputError, match="nothing is there"):
        fetched((run / "nothing").uri)


def test_a_fetch_that_is_cut_off_leaves_no_copy(run, tmp_path, monkeypatch, door):
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path))
    there = behind(door, run) / "base"
    there.write("a.safetensors", b"x")
    door.trouble = lambda method, path: "denied" if method == "GET" and "list-type" not in path else None
    with pytest.raises(InputError, match=r"could not be fetched \(.*AccessDenied\)"):
        fetched(there.uri)
    door.trouble = lambda method, path: None
    assert Path(fetched(there.uri), "a.safetensors").read_bytes() == b"x"


def test_questions_and_packed_files_are_read_from_a_bucket(run):
    import gzip

    run.write("a.jsonl.gz", gzip.compress(b'{"q": 1}\n'))
    (run / "sub").write("b.txt", "\ufefftext")
    assert source.read_text((run / "a.jsonl.gz").uri) == '{"q": 1}\n'
    assert source.kind_of(run.uri) == "folder"
    assert source.kind_of((run / "nothing").uri) is None
    assert source.names_in(run.uri) == ["a.jsonl.gz", "sub/"]
    assert source.size_of((run / "sub/b.txt").uri) == 7
