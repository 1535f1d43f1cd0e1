"""Whole batches of trajectories against one conversation at a time."""

from dataclasses import replace

import pytest
from fakes import ByteTokenizer, finished_trajectory
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.data.dataset.tokenize_rows import length_histogram, tokenize
from fireact_ray.data.examples import conversation
from fireact_ray.rendering import make_renderer

RENDERER = make_renderer("plain", ByteTokenizer())


def asked(*questions: str):
    known = finished_trajectory("t")
    return [
        replace(known, trajectory_id=f"t{i}", question=replace(known.question, text=text))
        for i, text in enumerate(questions)
    ]


@settings(deadline=None)  # no speed is asserted
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=6))
def test_a_batch_holds_what_each_conversation_gives_alone(questions):
    rows = asked(*questions)
    conversations = [conversation(row) for row in rows]
    table = tokenize([row.trajectory_id for row in rows], conversations, RENDERER)
    assert table.schema == EXAMPLE_SCHEMA
    alone = [RENDERER.render(turns) for turns in conversations]
    assert table["trajectory_id"].to_pylist() == [row.trajectory_id for row in rows]
    assert table["input_ids"].to_pylist() == [one.input_ids for one in alone]
    assert table["loss_mask"].to_pylist() == [one.loss_mask for one in alone]
    assert table["length"].to_pylist() == [len(one.input_ids) for one in alone]


def test_a_row_without_a_trained_token_is_refused_by_its_key():
    one, other = (conversation(row) for row in asked("Who?", "When?"))
    with pytest.raises(DataError, match=r"Trajectory t1 has no trained token\."):
        tokenize(["t0", "t1"], [one, other[:1]], RENDERER)


def test_lengths_are_counted_in_doubling_bins():
    assert length_histogram([1, 64, 65, 256, 257]) == {"64": 2, "128": 1, "256": 1, "512": 1}
    assert length_histogram([]) == {}
