"""Many conversations -> ids and masks: what `Renderer.render` gives for each, with one call of the tokenizer for all.

Equal texts (a system prompt, an observation that several trajectories share) are encoded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, get_args

import numpy as np

from fireact_ray.core.types import Turn
from fireact_ray.rendering.base import Follows, Part, Renderer, Tokenizer


class RenderedBatch(NamedTuple):
    """R conversations, one behind the other: number r is input_ids[offsets[r] : offsets[r + 1]]."""

    input_ids: np.ndarray[tuple[int], np.dtype[np.int32]]  # (N,)
    loss_mask: np.ndarray[tuple[int], np.dtype[np.int8]]  # (N,), 1 = trained
    offsets: np.ndarray[tuple[int], np.dtype[np.int32]]  # (R + 1,)


def render_batch(renderer: Renderer, conversations: Sequence[Sequence[Turn]]) -> RenderedBatch:
    rows = [list(renderer.parts(turns)) for turns in conversations]
    parts = list(chain.from_iterable(rows))
    encoded = _encoded(parts, renderer.tokenizer)
    ids = [[p.content] if isinstance(p.content, int) else encoded[p.follows, p.content] for p in parts]
    sizes = np.fromiter(map(len, ids), np.int64, len(parts))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    row_ends = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
    trained = np.fromiter((p.trained for p in parts), np.int8, len(parts))
    return RenderedBatch(
        np.fromiter(chain.from_iterable(ids), np.int32, int(ends[-1])),
        np.repeat(trained, sizes),
        ends[row_ends].astype(np.int32),
    )


def _encoded(parts: Sequence[Part], tokenizer: Tokenizer) -> dict[tuple[Follows, str], list[int]]:
    """Each text once for each place where it stands."""
    encoded: dict[tuple[Follows, str], list[int]] = {}
    for follows in get_args(Follows):
        texts = list({p.content: None for p in parts if p.follows == follows and isinstance(p.content, str)})
        encoded |= {
            (follows, text): ids for text, ids in zip(texts, tokenizer.encode_batch(texts, follows), strict=True)
        }
    return encoded
