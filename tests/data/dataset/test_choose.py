"""Facts of prepared rows in; which of them a dataset takes, and why not the others, out."""

from dataclasses import replace

import pyarrow as pa
import pytest
from fakes import ByteTokenizer, finished_trajectory

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import to_table
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Question, Trajectory
from fireact_ray.data.dataset.choose import choose_rows, last_of_each_key, read_picked
from fireact_ray.data.dataset.folder import read_facts
from fireact_ray.data.dataset.prepare import prepare
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import lines
from fireact_ray.rendering import make_renderer

RENDERER = make_renderer("plain", ByteTokenizer())
WHOLE = finished_trajectory("a")  # its first step has no action, so it is no training row


def good(key: str, text: str) -> Trajectory:
    return replace(WHOLE, trajectory_id=key, question=Question("jsonl", text, text, ("x",)), steps=WHOLE.steps[1:])


def facts_of(rows: list[Trajectory], config: ConvertConfig) -> pa.Table:
    table = prepare(to_table(rows), lines(config), config, RENDERER)
    return pa.concat_tables(read_facts([lambda: table]))


def test_the_mask_picks_the_rows_that_are_kept_and_the_report_counts_the_others():
    rows = [good("c", "One?"), WHOLE, good("b", "Two?"), good("d", "Two?"), good("c", "One?")]
    choice = choose_rows(facts_of(rows, ConvertConfig()), ConvertConfig(), 0, "runs/x")
    assert choice.picked.tolist() == [False, False, True, False, True]
    assert choice.kept["trajectory_id"].to_pylist() == ["b", "c"]
    assert choice.rows["trajectory_id"].to_pylist() == ["a", "b", "d", "c"]
    assert (choice.report.n_in, choice.report.n_kept) == (4, 2)
    assert {name: n for name, n in choice.report.dropped.items() if n} == {"no_action": 1, "duplicate": 1}


def test_rows_of_which_none_can_be_trained_on_are_refused_with_the_reasons():
    with pytest.raises(DataError, match=r"runs/x: no row can be trained on\. Dropped: no_action 1\."):
        choose_rows(facts_of([WHOLE], ConvertConfig()), ConvertConfig(), 0, "runs/x")


@pytest.mark.parametrize("line", [{"kinds": {"sum": 5}}, {"kinds": ["sum"]}, {"methods": ["cot"]}])
def test_a_list_that_leaves_no_row_is_refused_with_what_it_leaves_out(line):
    config = ConvertConfig(**line)
    ((setting, _),) = line.items()
    rows = facts_of([good("b", "One?"), WHOLE], config)
    with pytest.raises(DataError, match=rf"runs/x: no row is left .* no_action 1, {setting} 1\. .* it leaves out"):
        choose_rows(rows, config, 0, "runs/x")


def test_the_last_row_of_a_key_that_was_written_twice_counts():
    rows = pa.table({"trajectory_id": ["a", "b", "b", "c", "a"]})
    assert last_of_each_key(rows).tolist() == [False, False, True, True, True]


def test_picked_trajectories_are_read_in_the_order_of_their_parts(tmp_path):
    folder = Folder(str(tmp_path))
    write_trajectories(folder, [good("c", "One?"), good("d", "Two?")], "w1")
    write_trajectories(folder, [good("a", "Three?")], "w2")
    stored = [key for table in folder.read_tables(["trajectory_id"]) for key in table["trajectory_id"].to_pylist()]
    picked = pa.array([key != "d" for key in stored]).to_numpy(zero_copy_only=False)
    assert [row.trajectory_id for row in read_picked(folder.row_groups(), picked)] == [
        key for key in stored if key != "d"
    ]
