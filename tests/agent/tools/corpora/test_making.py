"""From files of any kind to one corpus that the index reads: each passage once, nothing lost without a word."""

import bz2
import gzip
import io
import json
import os
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fireact_ray.agent.tools.corpora.making import about_file, counts_text, make_corpus
from fireact_ray.agent.tools.corpora.seen import Seen, key_of
from fireact_ray.agent.tools.corpus import read_corpus
from fireact_ray.agent.tools.index import build_index
from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.part_file import part_file

TARN = {"title": "Tarn", "text": "A lake. Deep."}
ORR = {"title": "Orr", "text": "A hill."}
ROWS = [TARN, ORR]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
QUESTIONS = [
    {"_id": "1", "question": "How deep?", "answer": "very", "context": [["Tarn", ["A lake.", " Deep."]]]},
    {"_id": "2", "question": "What?", "context": [["Orr", ["A hill."]], ["Tarn", ["A lake.", " Deep."]]]},
]
DUMP = [
    {"id": "1", "url": "u", "title": "Tarn", "text": ["A lake.", " Deep."], "text_with_links": [], "charoffset": []},
    {"id": "2", "url": "u", "title": "Orr", "text": ["A hill."], "text_with_links": [], "charoffset": []},
]
DPR = b'id\ttext\ttitle\r\n1\t"A lake. Deep."\tTarn\r\n2\tA hill.\t"Orr"\r\n'
CONTENTS = b'{"id": "0", "contents": "\\"Tarn\\"\\nA lake. Deep."}\n{"id": "0", "contents": "\\"Orr\\"\\nA hill."}\n'


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def tarred(files, mode="w"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def parquet(rows):
    packed = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), packed)
    return packed.getvalue()


AS_COLUMNS = {"title": ["Tarn", "Orr"], "sentences": [["A lake.", " Deep."], ["A hill."]]}
SHARDS = {"AA/wiki_00.bz2": bz2.compress(lines(DUMP[:1])), "AA/wiki_01.bz2": bz2.compress(lines(DUMP[1:]))}

FORMATS = {
    "JSON lines": LINES,
    "JSON lines, byte order mark, CRLF": b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n"),
    "JSON lines in UTF-16": LINES.decode().encode("utf-16"),
    "JSON lines without a last line end": LINES.rstrip(),
    "gzip": gzip.compress(LINES),
    "gzip of two members": gzip.compress(lines([TARN])) + gzip.compress(lines([ORR])),
    "bzip2 of two streams": bz2.compress(lines([TARN])) + bz2.compress(lines([ORR])),
    "a JSON list": json.dumps(ROWS, indent=1).encode(),
    "HotpotQA's questions": json.dumps(QUESTIONS).encode(),
    "HotpotQA's questions as lines": lines(QUESTIONS),
    "HotpotQA's questions in Parquet": parquet([{"id": "1", "question": "?", "context": AS_COLUMNS}]),
    "HotpotQA's abstracts": bz2.compress(
        tarred({**SHARDS, "AA/._wiki_00.bz2": lines([{"text": "of macOS"}]), "README": b"about"})
    ),
    "DPR's passages": gzip.compress(DPR),
    "FlashRAG's passages": CONTENTS,
    "Search-R1's wiki-18.jsonl.gz, which is a tar": gzip.compress(tarred({"data00/wiki_dump.jsonl": CONTENTS})),
    "FlashRAG's zip": zipped({"wiki18_100w.jsonl": CONTENTS, "__MACOSX/x": b"\0"}),
    "Parquet": parquet(ROWS),
}


def made(folder, *contents, out="corpus.jsonl"):
    places = []
    for n, content in enumerate(contents):
        places.append(str(folder / f"source{n}.bin"))  # the name says nothing
        Path(places[-1]).write_bytes(content)
    return make_corpus(places, folder / out)


def passages(folder):
    return [(hit.title, hit.text) for hit in read_corpus(folder / "corpus.jsonl")]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("source"))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_told_by_its_content(name, tmp_path):
    corpus = made(tmp_path, FORMATS[name])
    assert passages(tmp_path) == [("Tarn", "A lake. Deep."), ("Orr", "A hill.")]
    assert corpus.n_passages == 2
    assert names_in(tmp_path) == ["corpus.jsonl", "corpus.jsonl.about.json"]


def test_zstandard_is_unpacked_too(tmp_path):
    path = tmp_path / "source.zst"
    with pa.OSFile(str(path), "w") as file, pa.CompressedOutputStream(file, "zstd") as stream:
        stream.write(LINES)
    make_corpus([str(path)], tmp_path / "corpus.jsonl")
    assert passages(tmp_path) == [("Tarn", "A lake. Deep."), ("Orr", "A hill.")]


def test_the_index_finds_what_was_made(tmp_path):
    made(tmp_path, FORMATS["HotpotQA's abstracts"])
    index = build_index(read_corpus(tmp_path / "corpus.jsonl"), tmp_path / "cache", "made")
    assert [hit.title for hit in index.search_now("deep lakes", 2)] == ["Tarn"]


def test_a_folder_is_read_whole_and_what_is_no_corpus_in_it_is_named(tmp_path):
    folder = tmp_path / "source"
    (folder / "AA").mkdir(parents=True)
    for name, content in SHARDS.items():
        (folder / name).write_bytes(content)
    (folder / "README.md").write_text("About the dump.")
    (folder / ".hidden").write_bytes(LINES)
    corpus = make_corpus([str(folder)], tmp_path / "corpus.jsonl")
    assert passages(tmp_path) == [("Tarn", "A lake. Deep."), ("Orr", "A hill.")]
    assert counts_text(corpus.sources[0]).endswith("1 files skipped, as no corpus: README.md")


def test_each_passage_is_written_once_and_what_was_left_is_counted(tmp_path):
    other = {"title": "Tarn", "text": "A poet."}
    questions = [
        *QUESTIONS,
        {"question": "?", "context": [["Tarn", ["Another text."]], ["Ada", []], ["Bo", ["A man."]]]},
    ]
    corpus = made(
        tmp_path, LINES + lines([other, TARN]) + b'{"broken\n[1]\n{"id": 1}\n', json.dumps(questions).encode()
    )
    assert passages(tmp_path) == [
        *((row["title"], row["text"]) for row in (TARN, ORR, other)),
        ("Tarn", "Another text."),
        ("Bo", "A man."),
    ]
    first, second = corpus.sources
    assert (first.rows, first.passages, first.repeated, first.same_title) == (7, 3, 1, 0)
    assert first.left_out == {"broken JSON": 1, "no JSON object": 1, "no field with a text": 1}
    assert (second.rows, second.passages, second.repeated, second.same_title) == (3, 2, 3, 0)
    assert second.left_out == {"empty text": 1}
    about = json.loads(about_file(tmp_path / "corpus.jsonl").read_text())
    assert about["passages"] == 5
    assert counts_text(second) == (
        "source1.bin: 3 rows, 2 passages written, 3 repeated word for word, 1 left out: empty text"
    )


def test_an_article_beside_questions_is_known_by_its_title(tmp_path):
    context = [["Tarn", ["A lake."]], ["Tarn", ["A lake. Cut"]], ["", ["no title"]], ["", ["nor here"]]]
    corpus = made(tmp_path, json.dumps([{"question": "?", "context": context}]).encode())
    assert passages(tmp_path) == [("Tarn", "A lake."), ("", "no title"), ("", "nor here")]
    assert corpus.sources[0].same_title == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"<!DOCTYPE html><html>", "it is a web page or XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "it is a pointer of Git LFS"),
        (b"Once upon a time.", "it begins with 'Once upon a time.'"),
        (b'{"label": 1, "premise": "x"}\n', "its rows hold label, premise, none of title, "),
        (parquet([{"label": 1}]), "its columns are label, none of title, "),
        (gzip.compress(parquet(ROWS)), "it is Parquet within something packed"),
        (lines([{"title": "Tarn"}]), "no passage was found"),
        (b'[{"question": "?", "answer": "x"}]', "its rows hold question, answer, none of title, "),
    ],
)
def test_what_is_no_corpus_is_refused_with_nothing_written(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        made(tmp_path, content)
    assert not (tmp_path / "corpus.jsonl").exists()


TABLE = b"id\ttext\ttitle\n" + b"".join(b"%d\tA lake.\tTarn %d\n" % (n, n) for n in range(9))
BROKEN = {
    "JSON lines": (LINES * 2000)[:-9],
    "a table": TABLE[:-9],
    "gzip": gzip.compress(LINES * 2000)[:-40],
    "bzip2": bz2.compress(os.urandom(3000).hex().encode().join([b'{"text": "', b'"}\n']) * 900)[:-40],
    "a list": json.dumps(ROWS * 2000).encode()[:-40],
    "a tar": tarred({"a.jsonl": LINES * 2000})[:-60_000],
    "a packed tar": gzip.compress(tarred({"a.jsonl": LINES * 2000}))[:-40],
    "a shard of a tar": tarred({"a.bz2": bz2.compress(LINES * 2000)[:-10], "b.jsonl": LINES}),
    "Parquet": parquet(ROWS)[:-20],
    "a zip": zipped({"a.jsonl": LINES})[:-30],
    "a zip within": zipped({"a.jsonl": LINES * 2000}).replace(b"\xed\xcc", b"\xff\xff", 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_breaks_off_is_never_taken_for_whole(name, tmp_path):
    with pytest.raises((DataError, InputError), match=r"source0\.bin.*(broke|damaged|read|whole|no corpus)"):
        made(tmp_path, BROKEN[name])
    assert not (tmp_path / "corpus.jsonl").exists()
    assert made(tmp_path, LINES).n_passages == 2
    assert passages(tmp_path) == [("Tarn", "A lake. Deep."), ("Orr", "A hill.")]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.sampled_from(list(FORMATS.values())), st.data())
def test_whatever_happens_to_a_file_there_is_a_corpus_or_a_sentence(tmp_path, content, data):
    at = data.draw(st.integers(0, len(content)))
    noise = data.draw(st.binary(max_size=9))
    broken = content[:at] + noise + content[at + data.draw(st.integers(0, 9)) :]
    out = tmp_path / "corpus.jsonl"
    out.unlink(missing_ok=True)
    try:
        corpus = made(tmp_path, broken)
    except (InputError, DataError):
        assert not out.exists()
    else:
        assert corpus.n_passages == len(passages(tmp_path)) > 0


def test_the_same_sources_are_not_read_again_and_others_do_not_overwrite(tmp_path):
    made(tmp_path, LINES)
    before = (tmp_path / "corpus.jsonl").stat().st_mtime_ns
    again = made(tmp_path, LINES)
    assert (again.was_there, again.n_passages) == (True, 2)
    assert again.sources[0].left_out == Counter()
    with pytest.raises(InputError, match=r"corpus\.jsonl is there and was made of source0\.bin\. Name another --out"):
        made(tmp_path, LINES + lines([{"text": "more"}]))
    assert (tmp_path / "corpus.jsonl").stat().st_mtime_ns == before
    (tmp_path / "mine.jsonl").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.jsonl is there and is no corpus made here"):
        made(tmp_path, LINES, out="mine.jsonl")


def test_one_command_at_a_time_writes_a_corpus_and_a_killed_one_is_begun_anew(tmp_path):
    with part_file(tmp_path / "other.jsonl"), pytest.raises(InputError, match="is being written by another command"):
        made(tmp_path, LINES, out="other.jsonl")
    (tmp_path / "corpus.jsonl.part").write_text("half a li")
    made(tmp_path, LINES)
    assert passages(tmp_path) == [("Tarn", "A lake. Deep."), ("Orr", "A hill.")]


def test_a_place_where_nothing_is_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        make_corpus([str(tmp_path / "nowhere")], tmp_path / "corpus.jsonl")


def test_keys_are_known_again_however_many_there_are(monkeypatch):
    monkeypatch.setattr("fireact_ray.agent.tools.corpora.seen._RECENT", 10)
    seen, keys = Seen(), [key_of(str(n), "text") for n in range(95)]
    for start in range(0, 95, 7):
        seen.add(keys[start : start + 7])
    assert len(seen) == 95
    assert all(seen.holds(keys))
    assert not any(seen.holds([key_of(str(n)) for n in range(95)]))


def test_the_places_of_two_texts_cannot_be_mistaken():
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("ab") != key_of("ab", "")
