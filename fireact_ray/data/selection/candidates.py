"""What choosing among rows needs to know of one, and no more: a million of them fit into one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import repeat
from sys import intern

import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.storage.fingerprint import DIGEST_BYTES
from fireact_ray.core.types import Turn
from fireact_ray.data.lint.similarity import Sketch

FACTS = [  # of a prepared row, beside the flat columns of its trajectory; null where it is dropped
    ("dropped", pa.string()),  # the line of the recipe that leaves the row out, null: it is a candidate
    ("thought_chars", pa.int32()),
    ("conversation", pa.binary(16)),
    ("n_trained", pa.int32()),  # tokens
    ("row_digest", pa.binary(DIGEST_BYTES)),  # of its key and tokens
    ("shingles", pa.list_(pa.uint32())),  # null where near duplicates are not looked for
    ("buckets", pa.list_(pa.uint64())),
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may be trained on. `conversation`: equal ones are equal conversations; `thought_chars`: of all its
    thoughts; `sketch`: for near duplicates, where they are looked for."""

    trajectory_id: str
    task: str
    question_id: str
    method: str
    attempt: int
    n_steps: int
    thought_chars: int
    conversation: bytes
    kind: str = ""  # of its question
    sketch: Sketch | None = None


def conversation_digest(turns: Sequence[Turn]) -> bytes:
    """16 bytes: that two of a billion conversations share them by chance is less likely than 1 in 10^20."""
    text = "\0".join(turn.content for turn in turns)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def candidates(rows: pa.Table) -> Iterator[Candidate]:
    """Of prepared rows, those that no line has left out."""
    kept = rows.filter(pc.is_null(rows["dropped"]))
    names = (
        *("trajectory_id", "task", "question_id", "method", "attempt", "n_steps"),
        *("thought_chars", "conversation", "kind"),
    )
    columns = [kept[name].to_pylist() for name in names]
    for values, sketch in zip(zip(*columns, strict=True), _sketches(kept), strict=True):
        key, task, question_id, method, attempt, n_steps, thought_chars, conversation, kind = values
        task, method, kind = intern(task), intern(method), intern(kind)
        yield Candidate(key, task, question_id, method, attempt, n_steps, thought_chars, conversation, kind, sketch)


def _sketches(kept: pa.Table) -> Iterator[Sketch | None]:
    if kept["shingles"].null_count == kept.num_rows:  # not looked for
        yield from repeat(None, kept.num_rows)
        return
    for shingles, buckets in zip(kept["shingles"], kept["buckets"], strict=True):
        yield Sketch(shingles.values.to_numpy(), buckets.values.to_numpy())
