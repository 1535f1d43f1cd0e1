"""The folder of a dataset: prepared rows in, what training reads, and what people read of it, out.

part-000.parquet   rows.EXAMPLE_SCHEMA, loss_mask 1 = trained
drops.json         in = kept + dropped by each line, what there were too few rows of, and histograms of lengths
README.md          the card
manifest.json      written last: counts, fingerprints, sizes, and a hash of all that the dataset is made of
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.fingerprint import dataset_fingerprint
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.data.dataset.card import Dataset, dataset_card
from fireact_ray.data.dataset.prepare import TOO_LONG, prepared_schema
from fireact_ray.data.dataset.tokenize_rows import length_histogram
from fireact_ray.rendering.base import Renderer

Block = Callable[[], pa.Table]  # gives prepared rows, wherever they are kept
Mask = npt.NDArray[np.bool_]  # of rows, in the order of their blocks

_ROWS_PER_PART = 50_000  # before the mask; a block is never divided


def read_facts(blocks: Sequence[Block]) -> list[pa.Table]:
    """Of each block all but ids and masks: little enough for one process to hold it of all rows."""
    names = [name for name in prepared_schema().names if name not in ("input_ids", "loss_mask")]
    # `take` copies: what is left must not hold on to the memory of the whole block.
    return [(rows := block().select(names)).take(pa.array(range(rows.num_rows))) for block in blocks]


def write_rows(folder: Folder, blocks: Sequence[Block], masks: Sequence[Mask]) -> None:
    """The rows that the mask of their block picks, in their order. Parts are written side by side.

    Until `write_about` has run, the folder has no manifest and counts as unfinished.
    """
    for name in (MANIFEST, *folder.names(".parquet")):
        folder.delete(name)

    def write(number: int, part: slice) -> None:
        folder.write_tables(f"part-{number:03d}.parquet", _picked(blocks[part], masks[part]), EXAMPLE_SCHEMA)

    parts = _parts([len(mask) for mask in masks])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(len(parts)), parts))


def _parts(sizes: Sequence[int]) -> list[slice]:
    """Neighbouring blocks that are written together."""
    ends = np.cumsum(sizes, dtype=np.int64)
    numbers = np.maximum(ends - 1, 0) // _ROWS_PER_PART  # of the part in which each block's last row falls
    cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(sizes)]
    return [slice(start, stop) for start, stop in pairwise(cuts) if stop > start]


def write_about(folder: Folder, dataset: Dataset, inputs: str) -> None:
    folder.write_json("drops.json", dataset.drops)
    folder.write("README.md", dataset_card(dataset))
    folder.write_json(MANIFEST, {**dataset.manifest, "inputs": inputs, "bytes": _sizes(folder)})


def is_made_of(folder: Folder, inputs: str) -> bool:
    """A whole dataset that was made of the same."""
    if not (folder.exists(MANIFEST) and folder.exists("drops.json")):
        return False
    manifest = folder.read_json(MANIFEST)
    return bool(manifest.get("inputs") == inputs and manifest["bytes"] == _sizes(folder))


def manifest(rows: pa.Table, renderer: Renderer) -> dict[str, Any]:
    """`rows`: the facts of those in the dataset."""
    return {
        "rows": rows.num_rows,
        "tokens": pc.sum(rows["length"]).as_py(),
        "trained_tokens": pc.sum(rows["n_trained"]).as_py(),
        "renderer": renderer.name,
        "renderer_fingerprint": renderer.fingerprint,
        "fingerprint": dataset_fingerprint(rows["row_digest"].to_pylist(), renderer.fingerprint),
    }


def histograms(all_rows: pa.Table, rows: pa.Table) -> dict[str, dict[str, int]]:
    too_long = all_rows.filter(pc.equal(all_rows["dropped"], TOO_LONG))
    return {"kept": length_histogram(rows["length"]), "too_long": length_histogram(too_long["length"])}


def _picked(blocks: Sequence[Block], masks: Sequence[Mask]) -> Iterator[pa.Table]:
    for block, mask in zip(blocks, masks, strict=True):
        yield block().select(EXAMPLE_SCHEMA.names).filter(pa.array(mask))


def _sizes(folder: Folder) -> dict[str, int]:
    """Of the files with rows."""
    return {name: folder.size(name) for name in folder.names(".parquet")}
