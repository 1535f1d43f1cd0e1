"""A block of trajectories in; of each row why it is dropped, or its tokens, out."""

import gc
from dataclasses import replace

import pyarrow as pa
from fakes import ByteTokenizer, finished_trajectory

from fireact_ray.core.storage.rows import to_row, to_table
from fireact_ray.core.types import Trajectory
from fireact_ray.data.dataset.prepare import FLAT_COLUMNS, prepare, prepared_schema
from fireact_ray.data.examples import conversation
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import lines
from fireact_ray.rendering import make_renderer

RENDERER = make_renderer("plain", ByteTokenizer())
WHOLE = finished_trajectory("a", cost_usd=0.5)
GOOD = replace(WHOLE, steps=WHOLE.steps[1:])


def prepared(rows: list[Trajectory], **settings) -> pa.Table:
    config = ConvertConfig(**settings)
    table = to_table(rows)
    made = prepare(table, lines(config), config, RENDERER)
    assert made.schema == prepared_schema()
    return made


def test_a_dropped_row_names_its_line_and_has_no_tokens():
    dropped, kept = prepared([WHOLE, replace(GOOD, trajectory_id="b")]).to_pylist()
    assert (dropped["trajectory_id"], dropped["dropped"]) == ("a", "no_action")
    for name in ("input_ids", "loss_mask", "length", "n_trained", "row_digest", "conversation", "thought_chars"):
        assert dropped[name] is None
        assert kept[name] is not None
    assert (kept["trajectory_id"], kept["dropped"]) == ("b", None)


def test_a_kept_row_has_the_tokens_of_its_conversation_and_the_flat_columns_of_its_trajectory():
    (row,) = prepared([GOOD]).to_pylist()
    alone = RENDERER.render(conversation(GOOD))
    assert (row["input_ids"], row["loss_mask"], row["length"]) == (*alone, len(alone.input_ids))
    assert row["n_trained"] == sum(alone.loss_mask) > 0
    assert row["thought_chars"] == len("t") + len("t2")
    assert {name: row[name] for name in FLAT_COLUMNS} == {name: to_row(GOOD)[name] for name in FLAT_COLUMNS}


def test_a_row_that_is_too_long_keeps_its_length_to_be_counted():
    (row,) = prepared([GOOD], max_length=10).to_pylist()
    assert row["dropped"] == "too_long"
    assert row["length"] == len(RENDERER.render(conversation(GOOD)).input_ids) > 10


def test_equal_conversations_have_equal_digests_whoever_had_them():
    other = replace(GOOD, trajectory_id="b", method="reflexion", cost_usd=None)
    asked_otherwise = replace(GOOD, question=replace(GOOD.question, text="Else?"))
    one, two, three = prepared([GOOD, other, asked_otherwise])["conversation"].to_pylist()
    assert one == two != three


def test_rows_are_sketched_where_near_duplicates_are_looked_for_and_only_there():
    assert prepared([GOOD])["shingles"].to_pylist() == [None]
    dropped, kept = prepared([WHOLE, GOOD], near_duplicates=0.8).to_pylist()
    assert (dropped["shingles"], dropped["buckets"]) == (None, None)
    assert len(kept["shingles"]) > 0
    assert len(kept["buckets"]) > 0


def test_many_rows_are_what_each_is_alone_and_the_garbage_collector_is_on_again():
    rows = [replace(GOOD, trajectory_id=str(i), attempt=i) for i in range(600)] + [WHOLE]
    together = prepared(rows).to_pylist()
    assert together[::100] == [prepared([row]).to_pylist()[0] for row in rows[::100]]
    assert len(together) == 601
    assert gc.isenabled()


def test_no_rows_are_no_rows():
    assert prepared([]).num_rows == 0
