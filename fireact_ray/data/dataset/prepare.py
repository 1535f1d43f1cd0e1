"""Rows of trajectories in, rows to choose from out: the line of the recipe that drops one, or its ids and mask.

A pure function of one block of rows, so that blocks are prepared in this process or anywhere on a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

from fireact_ray.core.storage.fingerprint import DIGEST_BYTES, row_digest
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA, TRAJECTORY_SCHEMA, from_row
from fireact_ray.core.types import Turn
from fireact_ray.core.utils.gc_tuning import uncollected
from fireact_ray.data.dataset.tokenize_rows import tokenize
from fireact_ray.data.examples import conversation
from fireact_ray.data.lint.similarity import sketch
from fireact_ray.data.selection.candidates import FACTS, conversation_digest
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import Line, dropped_by
from fireact_ray.rendering.base import Renderer

# What is chosen by, and what a dataset's card counts.
FLAT_COLUMNS = (
    *("trajectory_id", "task", "question_id", "kind", "method", "model", "attempt", "n_steps", "n_searches"),
    *("prompt_tokens", "completion_tokens", "cost_usd"),
)
TOO_LONG = "too_long"
# So that few of the tokenizer's results are held at once. 5,000 at a time are no faster.
_ROWS_AT_A_TIME = 250


@cache
def prepared_schema() -> pa.Schema:
    """Of rows that were dropped, `input_ids`, `loss_mask` and `length` are null, but for those that are too long."""
    flat = [TRAJECTORY_SCHEMA.field(name) for name in FLAT_COLUMNS]
    tokens = [field for field in EXAMPLE_SCHEMA if field.name != "trajectory_id"]
    return pa.schema([*flat, *FACTS, *tokens])


def prepare(rows: pa.Table, lines: Mapping[str, Line], config: ConvertConfig, renderer: Renderer) -> pa.Table:
    """One row of `prepared_schema` for each of TRAJECTORY_SCHEMA, in their order.

    `lines`: those of `config`. A row that passes them and is longer than `config.max_length` is dropped as `too_long`.
    """
    starts = range(0, rows.num_rows, _ROWS_AT_A_TIME)
    with uncollected():
        made = [_prepare(rows.slice(start, _ROWS_AT_A_TIME), lines, config, renderer) for start in starts]
    return pa.concat_tables([prepared_schema().empty_table(), *made])


def _prepare(rows: pa.Table, lines: Mapping[str, Line], config: ConvertConfig, renderer: Renderer) -> pa.Table:
    trajectories = [from_row(row) for row in rows.to_pylist()]
    dropped = [dropped_by(trajectory, lines) for trajectory in trajectories]
    passed = [place for place, name in enumerate(dropped) if name is None]
    conversations = [conversation(trajectories[place]) for place in passed]
    tokens = tokenize([trajectories[place].trajectory_id for place in passed], conversations, renderer)
    for place, length in zip(passed, tokens["length"].to_pylist(), strict=True):
        if length > config.max_length:
            dropped[place] = TOO_LONG
    facts = pa.table(
        {
            "thought_chars": pa.array(
                [sum(len(step.thought) for step in trajectories[place].steps) for place in passed], pa.int32()
            ),
            "conversation": pa.array([conversation_digest(turns) for turns in conversations], pa.binary(16)),
            "n_trained": _sums(tokens["loss_mask"].combine_chunks()),
            "row_digest": _digests(tokens),
            **_sketches(conversations, config.near_duplicates),
        }
    )
    found = np.full(len(trajectories), -1)
    found[passed] = range(len(passed))
    places = pa.array(found, mask=found < 0)
    columns = {name: rows[name] for name in FLAT_COLUMNS} | {"dropped": pa.array(dropped, pa.string())}
    for table in (facts, tokens.drop_columns("trajectory_id")):
        columns |= {name: table[name].take(places) for name in table.column_names}
    return pa.table([columns[name] for name in prepared_schema().names], schema=prepared_schema())


def _sketches(conversations: Sequence[Sequence[Turn]], threshold: float | None) -> dict[str, pa.Array]:
    shingles, buckets = pa.list_(pa.uint32()), pa.list_(pa.uint64())
    if threshold is None:
        return {
            "shingles": pa.nulls(len(conversations), shingles),
            "buckets": pa.nulls(len(conversations), buckets),
        }
    texts = ("\n".join(turn.content for turn in turns) for turns in conversations)
    sketches = [sketch(text, threshold) for text in texts]
    return {
        "shingles": pa.array([one.shingles for one in sketches], shingles),
        "buckets": pa.array([one.keys for one in sketches], buckets),
    }


def _digests(tokens: pa.Table) -> pa.Array:
    """Of rows of EXAMPLE_SCHEMA."""
    ids, masks = tokens["input_ids"].combine_chunks(), tokens["loss_mask"].combine_chunks()
    all_ids, all_masks, offsets = ids.values.to_numpy(), masks.values.to_numpy(), ids.offsets.to_pylist()
    digests = [
        row_digest(key, all_ids[start:stop], all_masks[start:stop])
        for key, (start, stop) in zip(tokens["trajectory_id"].to_pylist(), pairwise(offsets), strict=True)
    ]
    return pa.array(digests, pa.binary(DIGEST_BYTES))


def _sums(lists: pa.ListArray) -> pa.Array:
    """Of each list; none is empty."""
    starts = lists.offsets.to_numpy()[:-1]
    return pa.array(np.add.reduceat(lists.values.to_numpy(), starts, dtype=np.int32) if len(starts) else [], pa.int32())
