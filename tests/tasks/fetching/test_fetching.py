"""A source's files come to its folder: what is there stays, what is given is copied, archives are unpacked."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile

import pytest
from file_server import file_server

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.tasks.fetching.arrival import Proof, splits_of
from fireact_ray.tasks.fetching.download import Policy
from fireact_ray.tasks.fetching.fetching import fetch, is_there
from fireact_ray.tasks.fetching.listing import State, listed
from fireact_ray.tasks.fetching.sources import RemoteFile, Source

QUICK = Policy(max_idle_rounds=1, first_delay_s=0.0)
TRAIN = json.dumps([{"question": "Who built Tarn?", "answer": "Ada"}, {"question": "Who  BUILT Orr?", "answer": "Bo"}])
DEV = json.dumps([{"question": "Who built Orr?", "answer": "Bo"}])


def released(name, content, *urls, **more):
    return RemoteFile(name, urls, len(content), hashlib.sha256(content).hexdigest(), **more)


def questions(*urls_of_train):
    train = released("hotpot_train_v1.1.json", TRAIN.encode(), *urls_of_train)
    dev = released("hotpot_dev_distractor_v1.json", DEV.encode(), "http://127.0.0.1:1/none")
    return Source("hotpotqa", "data/hotpotqa", (train, dev), "MIT", "home", "hotpotqa", ("train", "dev"))


def zipped(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def test_what_is_given_is_copied_and_the_rest_is_downloaded(tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "data"
    mine.mkdir()
    (mine / "hotpot_dev_distractor_v1.json").write_text(DEV)
    with file_server(TRAIN.encode()) as server:
        source = questions(server.url)
        arrived = fetch(source, folder, [str(mine)], QUICK)
        again = fetch(source, folder, [], QUICK)
    assert [(one.files[0].name, one.proof, one.was_there) for one in arrived] == [
        ("hotpot_dev_distractor_v1.json", Proof.RELEASED, False),
        ("hotpot_train_v1.1.json", Proof.RELEASED, False),
    ]
    assert [one.was_there for one in again] == [True, True]
    assert len(server.ranges) == 1
    found = splits_of(source, folder, source.splits)
    assert [(one.name, one.n_questions, one.shared) for one in found] == [("train", 2, {}), ("dev", 1, {"train": 1})]


def test_files_of_others_are_taken_as_they_are_and_never_overwritten(tmp_path):
    (tmp_path / "hotpot_train_v1.1.json").write_text(DEV)
    own = tmp_path / "q.json"
    own.write_text(DEV)
    source = questions("http://127.0.0.1:1/none")
    arrived = fetch(source, tmp_path, [f"dev={own}"], QUICK)
    assert [(one.files[0].name, one.proof) for one in arrived] == [("hotpotqa_dev.json", None)]
    given = fetch(source, tmp_path, [f"dev={own}", str(tmp_path / "hotpot_train_v1.1.json")], QUICK)
    assert given[1].proof is Proof.OTHER
    own.write_text(TRAIN)
    with pytest.raises(InputError, match=r"hotpotqa_dev\.json is there already, and is another file"):
        fetch(source, tmp_path, [f"dev={own}"], QUICK)
    assert (tmp_path / "hotpotqa_dev.json").read_text() == DEV


def test_another_url_is_taken_without_a_checksum(tmp_path):
    with file_server(DEV.encode()) as server:
        arrived = fetch(questions(), tmp_path, [f"train={server.url}"], QUICK)
    assert [(one.files[0].name, one.proof) for one in arrived] == [("hotpotqa_train.json", None)]


def test_an_archive_is_unpacked_to_what_the_loader_reads_and_then_removed(tmp_path):
    content = zipped(**{"strategyqa_train.json": TRAIN, "../evil.json": "x", "__MACOSX/._strategyqa_train.json": "x"})
    with file_server(content) as server:
        remote = released("dataset.zip", content, server.url, unpack={"strategyqa_train.json": "."})
        source = Source("strategyqa", "data", (remote,), "MIT", "home", "strategyqa", ("train",))
        arrived = fetch(source, tmp_path / "data", [], QUICK)
        assert is_there(remote, tmp_path / "data")
        again = fetch(source, tmp_path / "data", [], QUICK)
    assert [file.name for file in arrived[0].files] == ["strategyqa_train.json"]
    assert again[0].was_there
    assert len(server.ranges) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["strategyqa_train.json"]


def test_mmlu_comes_in_its_folders_without_what_is_never_read(tmp_path):
    row = b"Q,a,b,c,d,A\n"
    content = tarred(
        {f"data/{split}/law_{split}.csv": row for split in ("dev", "val", "test")}
        | {"data/auxiliary_train/race.csv": row, "data/dev/._law_dev.csv": b"\0"}
    )
    archive = tmp_path / "data.tar"
    archive.write_bytes(content)
    unpack = {f"{split}/*_{split}.csv": split for split in ("dev", "val", "test")}
    source = Source(
        "mmlu", "x", (released("data.tar", content, unpack=unpack),), "MIT", "h", "mmlu", ("dev", "val", "test")
    )
    (arrived,) = fetch(source, tmp_path / "mmlu", [str(archive)], QUICK)
    assert arrived.proof is Proof.RELEASED
    assert archive.exists()
    assert [one.n_questions for one in splits_of(source, tmp_path / "mmlu", source.splits)] == [1, 1, 1]
    assert sorted(path.name for path in (tmp_path / "mmlu").rglob("*.csv")) == [
        "law_dev.csv",
        "law_test.csv",
        "law_val.csv",
    ]


BROKEN = {"torn": b"PK\x03\x04 torn", "a tarball": tarred({"data/readme": b"x"}), "cut": zipped(other="x")[:-30]}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_an_archive_that_is_broken_or_another_one_is_refused(tmp_path, content):
    (tmp_path / "data.tar").write_bytes(content)
    source = Source(
        "mmlu", "x", (released("data.tar", b"", unpack={"dev/*.csv": "dev"}),), "MIT", "h", "mmlu", ("dev",)
    )
    with pytest.raises(DataError, match=r"data\.tar: broken archive|data\.tar holds no dev/\*\.csv"):
        fetch(source, tmp_path / "mmlu", [str(tmp_path / "data.tar")], QUICK)


def test_a_damaged_file_of_an_archive_is_the_archives_fault_and_is_not_left_there(tmp_path):
    whole = gzip.compress(tarred({"dev/law_dev.csv": os.urandom(4000)}))
    (tmp_path / "data.tar").write_bytes(whole[:2000] + bytes([whole[2000] ^ 0xFF]) + whole[2001:])
    source = Source(
        "mmlu", "x", (released("data.tar", b"", unpack={"dev/*.csv": "dev"}),), "MIT", "h", "mmlu", ("dev",)
    )
    with pytest.raises(DataError, match=r"data\.tar: broken archive \(.*\)\. Remove it"):
        fetch(source, tmp_path / "mmlu", [str(tmp_path / "data.tar")], QUICK)
    assert not list((tmp_path / "mmlu").rglob("*.csv*"))


def test_a_file_that_was_changed_is_not_overwritten_from_an_archive_though_it_has_its_size(tmp_path):
    content = tarred({"dev/law_dev.csv": b"Q,a,b,c,d,A\n"})
    archive, folder = tmp_path / "data.tar", tmp_path / "mmlu"
    archive.write_bytes(content)
    source = Source(
        "mmlu", "x", (released("data.tar", content, unpack={"dev/*.csv": "dev"}),), "MIT", "h", "mmlu", ("dev",)
    )
    (folder / "dev").mkdir(parents=True)
    (folder / "dev" / "law_dev.csv").write_bytes(b"Q,a,b,c,d,B\n")
    with pytest.raises(InputError, match=r"law_dev\.csv is there already, and is another file"):
        fetch(source, folder, [str(archive)], QUICK)
    assert (folder / "dev" / "law_dev.csv").read_bytes() == b"Q,a,b,c,d,B\n"


def test_without_a_published_checksum_the_first_download_is_the_measure(tmp_path):
    with file_server(b"one") as server:
        source = Source("psgs", "x", (RemoteFile("psgs.tsv", (server.url,)),), "MIT", "home")
        assert fetch(source, tmp_path, [], QUICK)[0].proof is Proof.FIRST
        assert (tmp_path / "psgs.tsv.sha256").read_text() == f"{hashlib.sha256(b'one').hexdigest()}  psgs.tsv\n"
        assert fetch(source, tmp_path, [], QUICK)[0].proof is Proof.SAME
        (tmp_path / "psgs.tsv").unlink()
        server.content = b"two"
        with pytest.raises(DataError, match=r"psgs\.tsv: its SHA-256 is .* that of the first download was"):
            fetch(source, tmp_path, [], QUICK)
    assert not (tmp_path / "psgs.tsv").exists()
    assert (tmp_path / "psgs.tsv.other").read_bytes() == b"two"


@pytest.mark.parametrize("below", ["", "test/"])
def test_a_folder_of_what_an_archive_holds_stands_for_the_archive(tmp_path, below):
    mine = tmp_path / "mine" / below
    mine.mkdir(parents=True)
    for split in ("dev", "test"):
        (mine / f"law_{split}.csv").write_text("Q,a,b,c,d,A\n")
    (mine / "._law_dev.csv").write_text("mac")
    remote = released("data.tar", b"", unpack={"dev/*_dev.csv": "dev", "test/*_test.csv": "test"})
    source = Source("mmlu", "x", (remote,), "MIT", "h", "mmlu", ("dev", "test"))
    arrived = fetch(source, tmp_path / "mmlu", [str(tmp_path / "mine")], QUICK)
    assert [(one.files[0].relative_to(tmp_path).as_posix(), one.proof) for one in arrived] == [
        ("mmlu/dev/law_dev.csv", None),
        ("mmlu/test/law_test.csv", None),
    ]
    assert is_there(remote, tmp_path / "mmlu")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{}/none", "no such file or folder, and no http"),
        ("dev={}/none", "no such file, and no http"),
        ("{}/q.json", "so it is not known what it is. Say for which split it is \\(train=... or dev=...\\)"),
        ("{}", "it holds none of hotpot_train_v1.1.json, hotpot_dev_distractor_v1.json"),
    ],
)
def test_what_is_given_and_not_understood_is_refused_with_nothing_written(tmp_path, given, message):
    (tmp_path / "q.json").write_text(DEV)
    with pytest.raises(InputError, match=message):
        fetch(questions(), tmp_path / "data", [given.format(tmp_path)], QUICK)
    assert not (tmp_path / "data").exists()


def test_what_is_here_is_listed_with_the_questions_that_somebody_brought(tmp_path):
    (tmp_path / "hotpotqa_dev.json").write_text(DEV)
    (tmp_path / "hotpot_train_v1.1.json").write_text(TRAIN)
    found = {one.path.name: one.state for one in listed(tmp_path) if one.source.name == "hotpotqa"}
    assert found == {
        "hotpot_train_v1.1.json": State.THERE,
        "hotpot_dev_distractor_v1.json": State.MISSING,
        "hotpotqa_dev.json": State.OWN,
    }
