"""Conversations in, training rows out: ids, mask and length in Arrow, without a Python object per token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.core.types import Turn
from fireact_ray.rendering.base import Renderer
from fireact_ray.rendering.batch import render_batch


def tokenize(keys: Sequence[str], conversations: Sequence[Sequence[Turn]], renderer: Renderer) -> pa.Table:
    """One row of EXAMPLE_SCHEMA per conversation, in their order.

    Raises DataError where nothing of a row would be trained.
    """
    rendered = render_batch(renderer, conversations)
    trained = np.concatenate([[0], np.cumsum(rendered.loss_mask, dtype=np.int64)])[rendered.offsets]
    if (empty := np.flatnonzero(np.diff(trained) == 0)).size:
        raise DataError(f"Trajectory {keys[empty[0]]} has no trained token.")
    offsets = pa.array(rendered.offsets)
    columns = [
        pa.array(keys, pa.string()),
        pa.ListArray.from_arrays(offsets, pa.array(rendered.input_ids)),
        pa.ListArray.from_arrays(offsets, pa.array(rendered.loss_mask)),
        pa.array(np.diff(rendered.offsets)),
    ]
    return pa.table(columns, schema=EXAMPLE_SCHEMA)


def length_histogram(lengths: Sequence[int]) -> dict[str, int]:
    """Number of rows by length, doubling from 64 on: "256" counts those of 129 to 256 tokens."""
    exponents = np.maximum(6, np.ceil(np.log2(np.asarray(lengths, dtype=np.int64)))).astype(int)
    counts = np.bincount(exponents)
    return {str(2**exponent): int(count) for exponent, count in enumerate(counts) if exponent >= 6}
