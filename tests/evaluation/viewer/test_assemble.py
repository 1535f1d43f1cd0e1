"""Paths in, a page out."""

import json

import pyarrow as pa
import pytest
from viewing import row

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.evaluation.viewer.assemble import page_of
from fireact_ray.evaluation.viewer.sources import open_sources
from fireact_ray.rollouts.completed import Written
from fireact_ray.rollouts.plan import PLAN, Planned, Policy, write_plan

from ..recorded.recordings import chat, file, scored

CHAT = [
    {"role": "user", "content": "How deep?"},
    {"role": "assistant", "content": "Thought: So.\nAction: finish[410 m]"},
]


@pytest.fixture
def run(tmp_path):
    folder = Folder(str(tmp_path / "demo"))
    write_trajectories(folder / "trajectories", [row("t2", "two"), row("t1", "one")], "w")
    for name, mark in (("base", 0.0), ("finetuned", 1.0)):
        write_trajectories(folder / "evaluations" / name / "trajectories", [row(name, "held out", mark)], "w")
    return folder


def test_a_run_is_its_trajectories_and_each_of_its_evaluations(run):
    (run / "evaluations").write("report.md", "")
    run.write("plan.parquet", b"PAR1")
    sources = open_sources(run.uri)
    assert [(source.name, source.place.removeprefix(run.uri)) for source in sources] == [
        ("trajectories", ""),
        ("base", "/evaluations/base"),
        ("finetuned", "/evaluations/finetuned"),
    ]
    assert sources[0].questions == ["one", "two"]
    assert [(record.row, record.trajectory.trajectory_id) for record in sources[0].read([1])] == [(2, "t2")]
    assert page_of([run.uri]).index["open"] == [1, 2]


def test_an_evaluation_and_a_folder_of_parts_can_be_named_too(run):
    assert page_of([f"{run.uri}/evaluations/base"]).summary == ["trajectories: 1 row, 1 wrong"]
    assert page_of([f"{run.uri}/trajectories/"]).summary == ["trajectories: 2 rows, 2 right"]


def test_a_file_that_import_reads_is_a_system(tmp_path, run):
    lines = [json.dumps({"messages": CHAT}), "", "{broken", json.dumps({"messages": CHAT[:1]})]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    page = page_of([str(tmp_path / "x.jsonl")])
    assert page.index["columns"]["row"] == [1, 3, 4]
    assert page.index["columns"]["verdict"] == ["unscored", "unreadable", "unreadable"]
    assert page.index["title"] == "x.jsonl"


def test_a_file_with_accepted_answers_is_marked_as_score_marks_it(tmp_path):
    rows = [
        chat("Who made it?", "The Ada Moe", gold="Ada Moe"),
        chat("Who else?", "Bo", gold="Ada Moe"),
        chat("Why?", "Bo"),
    ]
    path = file(tmp_path, rows, "x.jsonl")
    page = page_of([path])
    assert page.index["columns"]["verdict"] == ["right", "wrong", "unscored"]
    assert page.bodies[1]["expected"] == ["Ada Moe"]
    assert scored(path).report.metrics.em.percent == 50.0


def test_two_runs_are_compared_by_the_same_system(tmp_path, run):
    write_trajectories(
        Folder(str(tmp_path / "b" / "evaluations" / "base" / "trajectories")), [row("o", "held out")], "w"
    )
    page = page_of([run.uri, str(tmp_path / "b")])
    assert [about["name"] for about in page.index["systems"]] == [
        "demo/trajectories", "demo/base", "demo/finetuned", "b/base",
    ]  # fmt: skip
    assert page.index["open"] == [1, 3]
    assert page.summary[-1] == "b/base against demo/base: 1 fixed"


def test_runs_of_the_same_name_are_told_apart_by_their_paths(tmp_path):
    for name in ("a", "b"):
        write_trajectories(Folder(str(tmp_path / name / "demo" / "trajectories")), [row(name, "q")], "w")
    page = page_of([str(tmp_path / "a" / "demo"), str(tmp_path / "b" / "demo")])
    assert page.index["title"] == f"{tmp_path}/a/demo and {tmp_path}/b/demo"


def test_a_damaged_part_costs_its_rows_and_is_said(run):
    write_trajectories(run / "trajectories", [row("t3", "three")], "x")
    part = (run / "trajectories").names(".parquet")[1]
    damaged = bytearray((run / "trajectories").read(part))
    damaged[40] ^= 255
    (run / "trajectories").write(part, bytes(damaged))
    page = page_of([run.uri])
    assert page.summary[0] == "trajectories: 2 rows, 2 right"
    assert page.summary[-1].endswith(
        f"{part}: it is damaged, not what was written there. Its rows are not in the page."
    )


def test_rows_of_a_run_that_are_not_written_yet_are_said(run):
    planned = [(Planned(key, row(key, key).question, "react"),) for key in ("t1", "t2", "t3", "t4")]
    write_plan(run, planned, Policy(), Written.of({}))
    notes = page_of([run.uri]).index["notes"]
    assert notes == [f"{run.uri}: 2 more rows are planned and not written yet: this is a part of the run."]
    run.write(PLAN, b"PAR1")
    (note,) = page_of([run.uri]).index["notes"]
    assert note.endswith("How many rows are not written yet is not known.")


def test_a_system_that_cannot_be_read_keeps_nobody_from_looking_at_the_others(run):
    parts = run / "evaluations" / "base" / "trajectories"
    parts.write(parts.names(".parquet")[0], b"PAR1")
    page = page_of([run.uri])
    assert [about["n_shown"] for about in page.index["systems"]] == [2, 0, 1]
    assert page.index["open"] == [0, None]
    for name in ("trajectories", "evaluations/finetuned/trajectories"):
        folder = run / name
        folder.write(folder.names(".parquet")[0], b"PAR1")
    with pytest.raises(InputError, match=r"demo: no trajectory can be read. .*it is damaged"):
        page_of([run.uri])


def test_rows_that_do_not_fit_are_left_out_aloud(run):
    page = page_of([run.uri], limit=3)
    assert (
        "trajectories: 1 row of 2 left out of this page, which shows 1; `--limit` says how many it holds in all."
        in page.summary
    )


class Letters:
    def show(self, ids):
        return "".join(map(chr, ids))


def write_dataset(run):
    rows = [{"trajectory_id": "t2", "input_ids": [97, 98, 99], "loss_mask": [0, 1, 1], "length": 3}]
    (run / "dataset").write_table("part-000.parquet", pa.Table.from_pylist(rows, schema=EXAMPLE_SCHEMA))
    (run / "dataset").write_json(MANIFEST, {})


def test_what_is_trained_is_what_the_dataset_says(run):
    assert page_of([run.uri]).index["columns"]["trained"] == [None, None, None, None]
    write_dataset(run)
    page = page_of([run.uri])
    assert page.index["columns"]["trained"] == [None, 2, None, None]
    assert page.bodies[1]["length"] == 3
    assert "pieces" not in page.bodies[1]


def test_a_damaged_dataset_keeps_nobody_from_looking(run):
    write_dataset(run)
    (run / "dataset").write("part-000.parquet", b"PAR1")
    assert page_of([run.uri]).summary[-1].endswith("What is trained is not marked.")


@pytest.mark.parametrize("name", ["none", "empty"])
def test_where_nothing_is_the_message_says_so(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no run folder with trajectories"):
        page_of([str(tmp_path / name)])
