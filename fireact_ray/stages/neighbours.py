"""Near duplicates of many texts: sketches are made by Ray Data, which is nearly all of the work, and compared here.

The answer is that of `similarity.near_duplicates`, text for text: which texts are kept depends on those kept before, so
that the comparing is one pass in order, a few table look-ups per text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import ray

from fireact_ray.curation.selection import FindNear
from fireact_ray.curation.similarity import Sketch, like_an_earlier, near_duplicates, sketch
from fireact_ray.recipe import RayConfig
from fireact_ray.stages.runtime import ray_session

IN_PROCESS = 50_000  # texts: up to here starting Ray takes longer than the sketches
TEXTS_PER_BLOCK = 5_000

_SKETCH_SCHEMA = pa.schema(
    [("place", pa.int64()), ("shingles", pa.list_(pa.uint32())), ("keys", pa.list_(pa.uint64()))]
)


def near_finder(config: RayConfig) -> FindNear:
    """`near_duplicates`, on Ray where there are many texts."""

    def find(texts: Sequence[str], threshold: float) -> Mapping[int, int]:
        if len(texts) <= IN_PROCESS:
            return near_duplicates(texts, threshold)
        with ray_session(config):
            return near_duplicates_on_ray(texts, threshold)

    return find


def near_duplicates_on_ray(texts: Sequence[str], threshold: float) -> dict[int, int]:
    rows = pa.table({"place": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())})
    blocks = [rows.slice(start, TEXTS_PER_BLOCK) for start in range(0, rows.num_rows, TEXTS_PER_BLOCK)]
    sketched = ray.data.from_arrow(blocks).map_batches(SketchTexts(threshold), batch_format="pyarrow", batch_size=None)
    done = list(sketched.iter_batches(batch_format="pyarrow", batch_size=None))
    return like_an_earlier(_in_order(done), threshold)


@dataclass(frozen=True)
class SketchTexts:
    """`sketch` over a batch."""

    threshold: float

    def __call__(self, batch: pa.Table) -> pa.Table:
        sketches = [sketch(text, self.threshold) for text in batch["text"].to_pylist()]
        columns = [batch["place"], [s.shingles for s in sketches], [s.keys for s in sketches]]
        return pa.table(columns, schema=_SKETCH_SCHEMA)


def _in_order(batches: Sequence[pa.Table]) -> Iterator[Sketch]:
    """Ray Data hands blocks back as they are done; the order of the texts is what decides."""
    for batch in sorted(batches, key=lambda batch: batch["place"][0].as_py()):
        for found, keys in zip(batch["shingles"], batch["keys"], strict=True):
            yield Sketch(found.values.to_numpy(), keys.values.to_numpy())
