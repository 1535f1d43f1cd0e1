"""However rows are packed and wherever they lie, they are read, or refused in one sentence with the next move."""

import gzip
import io
import json
import os
import threading
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.data.formats.files import numbered_rows
from fireact_ray.data.formats.records import read_questions, read_records
from fireact_ray.tasks import load_questions

ROWS = [
    {"messages": [{"role": "user", "content": f"How deep is Lake {name}?"}, {"role": "assistant", "content": "x"}]}
    for name in ("Tarn", "Größe", "Vell")
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


def arrow(new) -> bytes:
    table, sink = pa.Table.from_pylist(ROWS), io.BytesIO()
    with new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


PACKED = {
    "x.jsonl": LINES.encode(),
    "x.jsonl.gz": gzip.compress(LINES.encode()),
    "two members.gz": gzip.compress(LINES.encode()[:99]) + gzip.compress(LINES.encode()[99:]),
    "x.jsonl.zst": zstd(LINES.encode()),
    "no suffix": zstd(json.dumps(ROWS).encode()),
    "x.json": json.dumps(ROWS, indent=2).encode(),
    "with a mark.jsonl": LINES.encode("utf-8-sig"),
    "utf-16.jsonl": LINES.encode("utf-16"),
    "utf-16 without a mark.json": json.dumps(ROWS).encode("utf-16-le"),
    "crlf.jsonl": LINES.replace("\n", "\r\n").encode(),
    "x.parquet": parquet(),
    "x.parquet.gz": gzip.compress(parquet()),
    "stream.arrow": arrow(pa.ipc.new_stream),
    "file.arrow": arrow(pa.ipc.new_file),
    "under a name.json": json.dumps({"version": "1.0", "data": ROWS}, indent=1).encode(),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("scheme", ["", "file://", "file:", "file://localhost"])
def test_the_same_rows_come_out_of_every_container_and_address(name, scheme, tmp_path):
    (tmp_path / name).write_bytes(PACKED[name])
    assert numbered_rows(f"{scheme}{tmp_path}/{name}") == list(enumerate(ROWS, start=1))


def test_what_a_shell_pipes_in_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writing = threading.Thread(target=(tmp_path / "pipe").write_text, args=(LINES,))
    writing.start()
    assert numbered_rows(str(tmp_path / "pipe")) == list(enumerate(ROWS, start=1))
    writing.join()


def saved(folder, names=("data-00000-of-00002.arrow", "data-00001-of-00002.arrow"), **more):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(arrow(pa.ipc.new_stream))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names], **more}))
    (folder / "dataset_info.json").write_text("{}")


def test_a_folder_that_datasets_saved_is_read_file_by_file(tmp_path):
    saved(tmp_path / "d")
    assert numbered_rows(str(tmp_path / "d")) == list(enumerate(ROWS + ROWS, start=1))
    assert len(read_records(f"file://{tmp_path}/d")) == 6


@pytest.mark.slow
def test_what_datasets_itself_saves_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "d")
    assert numbered_rows(str(tmp_path / "d")) == list(enumerate(ROWS, start=1))


def test_shards_of_one_kind_are_counted_on(tmp_path):
    for shard in ("train-00000-of-00002.jsonl.gz", "train-00001-of-00002.jsonl.gz"):
        (tmp_path / shard).write_bytes(gzip.compress(LINES.encode()))
    (tmp_path / "README.md").write_text("# mine")
    assert numbered_rows(str(tmp_path)) == list(enumerate(ROWS + ROWS, start=1))


def test_records_under_their_questions_or_ids_are_rows(tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps({"How deep is Tarn?": {"answer": "410 m"}, "And Vell?": {"answer": "9"}})
    )
    (tmp_path / "b.json").write_text(
        json.dumps({"q1": {"question": "How deep?", "answer": "410 m"}}, indent=1) + "\n\n"
    )
    assert read_questions(str(tmp_path / "a.json")) == ["How deep is Tarn?", "And Vell?"]
    assert numbered_rows(str(tmp_path / "b.json")) == [(1, {"id": "q1", "question": "How deep?", "answer": "410 m"})]


def test_one_row_alone_is_a_row_however_it_is_printed(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(ROWS[0], indent=2))
    (tmp_path / "b.jsonl").write_text(f"\n{json.dumps(ROWS[0])}")
    assert numbered_rows(str(tmp_path / "a.json")) == [(1, ROWS[0])]
    assert numbered_rows(str(tmp_path / "b.jsonl")) == [(2, ROWS[0])]


def test_an_exports_own_folder_is_read(tmp_path):
    (tmp_path / "chat.jsonl").write_text(LINES)
    (tmp_path / "README.md").write_text("card")
    (tmp_path / "export.json").write_text(json.dumps({"chat.jsonl": "1", "README.md": "2"}))
    assert numbered_rows(str(tmp_path)) == list(enumerate(ROWS, start=1))
    (tmp_path / "alpaca.json").write_text("[]")
    (tmp_path / "export.json").write_text(json.dumps({"chat.jsonl": "1", "alpaca.json": "2"}))
    with pytest.raises(InputError, match=r"holds alpaca\.json, chat\.jsonl\. Name one of them"):
        numbered_rows(str(tmp_path))


def archive() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr("x.jsonl", LINES)
    return sink.getvalue()


REFUSED = {
    "x.zip": (archive(), "a zip archive is not unpacked here. Unpack it"),
    "x.jsonl.xz": (b"\xfd7zXZ\x00\x00", "an xz file is not unpacked here"),
    "x.tar": (b"x" * 257 + b"ustar" + b"\0" * 300, "a tar archive is not unpacked here"),
    "torn.gz": (gzip.compress(LINES.encode())[:40], "cannot be read"),
    "torn.zst": (zstd(LINES.encode())[:20], "cannot be read"),
    "torn.parquet": (parquet()[:99], "not a readable Parquet file"),
    "torn.arrow": (arrow(pa.ipc.new_stream)[:150], "not a readable Arrow file"),
    "columns.json": (b'{"question": {"0": "a", "1": "b"}, "answer": {"0": "c", "1": "d"}}', "orient='records'"),
    "lists.json": (json.dumps({"train": ROWS, "test": ROWS}).encode(), "2 lists .train, test.. Write the rows of one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_with_the_next_move(name, tmp_path):
    content, said = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        numbered_rows(str(tmp_path / name))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("https://x.test/y.jsonl", "nothing is read over HTTP. Download it"),
        ("file://data/x.jsonl", "'data' is read as another machine"),
        ("nowhere://x/y.jsonl", "cannot be read"),
        ("/no/such/place", "No such file or directory"),
    ],
)
def test_an_address_that_is_not_read_is_refused_in_words(place, said):
    with pytest.raises(InputError, match=said):
        numbered_rows(place)


def test_a_folder_that_does_not_say_what_is_meant_is_refused(tmp_path):
    with pytest.raises(InputError, match="no files of rows in it; it holds nothing"):
        numbered_rows(str(tmp_path))
    (tmp_path / "train.jsonl").write_text(LINES)
    (tmp_path / "test.jsonl").write_text(LINES)
    with pytest.raises(InputError, match=r"several splits \(test\.jsonl, train\.jsonl\)\. Name the one"):
        numbered_rows(str(tmp_path))
    (tmp_path / "test.jsonl").rename(tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"several kinds \(jsonl, parquet\)"):
        numbered_rows(str(tmp_path))
    (tmp_path / "dict").mkdir()
    (tmp_path / "dict" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    saved(tmp_path / "dict" / "train", _indices_data_files=[{"filename": "i.arrow"}])
    with pytest.raises(InputError, match=r"holds the splits train\. Name one, as in .*/dict/train"):
        numbered_rows(str(tmp_path / "dict"))
    with pytest.raises(InputError, match="flatten_indices"):
        numbered_rows(str(tmp_path / "dict" / "train"))


@pytest.mark.parametrize(
    ("task", "name", "text"),
    [
        ("jsonl", "dev.jsonl", '{"question": "How deep is Größe?", "answer": "410 m"}\n'),
        ("hotpotqa", "hotpotqa_dev.json", '[{"question": "How deep is Größe?", "answer": "410 m"}]'),
        ("strategyqa", "strategyqa_dev.json", '[{"question": "How deep is Größe?", "answer": true}]'),
        ("bamboogle", "bamboogle_dev.csv", "Question,Answer\nHow deep is Größe?,410 m\n"),
        ("mmlu", "lakes_dev.csv", "How deep is Größe?,1,2,3,4,A\n"),
    ],
)
def test_tasks_read_their_files_packed_and_by_address(task, name, text, tmp_path):
    plain, packed, wide = (tmp_path / kind for kind in ("plain", "packed", "wide"))
    for folder in (plain, packed, wide):
        folder.mkdir()
    (plain / name).write_text(text, encoding="utf-8")
    (packed / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (wide / name).write_bytes(text.encode("utf-16"))
    expected = load_questions(task, str(plain), "dev")
    assert expected[0].text.startswith("How deep is Größe?")
    for place in (packed, packed / f"{name}.gz", wide, f"file://{plain}", f"file://{packed}/{name}.gz"):
        assert load_questions(task, str(place), "dev") == expected
