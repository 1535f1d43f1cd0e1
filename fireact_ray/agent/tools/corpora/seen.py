"""Which of many millions of texts were there before: eight bytes for each, in a sorted array.

Two different texts share a key once in 2^64 pairs: of 21 million passages, one is taken for another with a chance of
1 in 80,000.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RECENT = 1 << 19  # keys in a Python set, before they are sorted in


def key_of(*texts: str) -> int:
    """Of 8 bytes; half characters count as U+FFFD."""
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        data = text.encode("utf-8", "replace")
        digest.update(len(data).to_bytes(8, "big") + data)
    return int.from_bytes(digest.digest(), "big")


class Seen:
    """Keys, asked for and added many at a time."""

    def __init__(self) -> None:
        self._sorted: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def holds(self, keys: Sequence[int]) -> list[bool]:
        """For each key, whether it was added before."""
        asked = np.asarray(keys, np.uint64)
        places = np.searchsorted(self._sorted, asked)
        inside = places < len(self._sorted)
        found = np.zeros(len(asked), bool)
        found[inside] = self._sorted[places[inside]] == asked[inside]
        return [bool(old) or key in self._recent for old, key in zip(found, keys, strict=True)]

    def add(self, keys: Sequence[int]) -> None:
        self._recent.update(keys)
        if len(self._recent) >= _RECENT:
            recent = np.fromiter(self._recent, np.uint64, len(self._recent))
            self._sorted = np.union1d(self._sorted, recent)
            self._recent.clear()
