import random

import pyarrow as pa
import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.inputs import lock_inputs


def test_the_digest_is_of_contents_not_of_names(tmp_path):
    one, two = Folder(str(tmp_path / "one")), Folder(str(tmp_path / "two"))
    for folder, names in ((one, "ab"), (two, "cb")):
        for name, content in zip(names, ("x", "y"), strict=True):
            folder.write(f"{name}.json", content)
    assert one.digest((".json",)) == two.digest((".json",))
    two.write("other.txt", "z")
    assert one.digest((".json",)) == two.digest((".json",)) != two.digest((".json", ".txt"))
    two.write("b.json", "z")
    assert one.digest((".json",)) != two.digest((".json",))


@pytest.mark.slow
def test_a_large_part_is_whole_while_none_of_its_bytes_has_changed(tmp_path):
    table = pa.table({"noise": [random.Random(0).randbytes(9_000_000)]})
    name = Folder(str(tmp_path)).write_part("part-w", [table], table.schema)
    assert Folder(str(tmp_path)).is_whole(name)
    content = bytearray((tmp_path / name).read_bytes())
    content[100] ^= 1
    (tmp_path / name).write_bytes(content)
    assert not Folder(str(tmp_path)).is_whole(name)


def test_nothing_half_written_is_visible(tmp_path):
    folder = Folder(str(tmp_path))
    (tmp_path / ".part-1.parquet.abc").write_bytes(b"torn")
    assert folder.names() == []


def test_other_inputs_in_an_old_folder_are_refused_by_field_name(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    inputs = {"seed": 0, "teacher": {"sampling": {"temperature": 0.0}}}
    lock_inputs(folder, inputs, is_empty=True)
    lock_inputs(folder, inputs, is_empty=False)
    with pytest.raises(InputError, match=r"teacher\.sampling\.temperature: was 0\.0, now 0\.7"):
        lock_inputs(folder, {"seed": 0, "teacher": {"sampling": {"temperature": 0.7}}}, is_empty=False)


def test_a_folder_without_results_takes_other_inputs(tmp_path):
    folder = Folder(str(tmp_path / "t"))
    lock_inputs(folder, {"model": "a typo"}, is_empty=True)
    lock_inputs(folder, {"model": "right"}, is_empty=True)
    assert folder.read_json("inputs.json") == {"model": "right"}


def test_a_remote_folder_has_no_local_path():
    folder = Folder("mock://bucket/run/trajectories")
    assert not folder.is_local
    with pytest.raises(InputError, match="needs a local or mounted folder"):
        _ = folder.local_path


def test_an_unknown_filesystem_is_a_clear_error():
    with pytest.raises(InputError, match="nosuch://x/y: not a folder that can be opened"):
        Folder("nosuch://x/y").names()
