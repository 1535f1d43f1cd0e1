"""Texts in, near duplicates out, at a cost linear in the number of texts.

A text is the set of its runs of three words; two texts are near duplicates when the Jaccard index of their sets
(shared / in either) reaches a threshold. In order, a text is kept unless a kept one before it is its near duplicate.

Candidates come from MinHash signatures cut into bands (Broder, 1997; Leskovec et al., Mining of Massive Datasets,
chapter 3): texts that agree in a whole band share a bucket, and a bucket holds kept texts only, so that a thousand
copies take a thousand comparisons. What shares a bucket is compared exactly: no two texts are called alike by an
estimate. A pair that shares no bucket is missed, at the threshold less than once in a hundred, above it ever more
rarely. Written here rather than taken from datasketch, which hashes one text at a time in Python objects and brings
scipy along, for what are sixty lines of numpy.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from fireact_ray.core.utils.folding import folded

Shingles = npt.NDArray[np.uint32]  # sorted, unique

_RUN = 3  # words
_N_HASHES = 128  # of a signature, at most
_MIN_RECALL = 0.99  # at the threshold
_FACTORS = np.random.default_rng(1).integers(1, 2**63, _N_HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


class Sketch(NamedTuple):
    """All that is needed of a text. `keys`: one bucket per band."""

    shingles: Shingles
    keys: npt.NDArray[np.uint64]


def near_duplicates(texts: Iterable[str], threshold: float) -> dict[int, int]:
    """For each place of a text that is not kept, the place of the kept one that it is like."""
    return like_an_earlier((sketch(text, threshold) for text in texts), threshold)


def sketch(text: str, threshold: float) -> Sketch:
    found = shingles(text)
    return Sketch(found, _band_keys(found, threshold))


def like_an_earlier(sketches: Iterable[Sketch], threshold: float) -> dict[int, int]:
    """`near_duplicates` of texts whose sketches were made with the same threshold."""
    kept: dict[int, Shingles] = {}
    buckets: Mapping[tuple[int, int], list[int]] = defaultdict(list)
    likes: dict[int, int] = {}
    for place, (found, keys) in enumerate(sketches):
        bands = list(enumerate(keys.tolist()))
        candidates = Counter(other for band in bands if band in buckets for other in buckets[band])
        nearest_first = (other for other, _ in candidates.most_common())
        like = next((other for other in nearest_first if jaccard(kept[other], found) >= threshold), None)
        if like is not None:
            likes[place] = like
            continue
        kept[place] = found
        for band in bands:
            buckets[band].append(place)
    return likes


def shingles(text: str) -> Shingles:
    """Hashes of the folded text's runs of three words; a shorter text is one run."""
    words = np.array([crc32(word.encode()) for word in folded(text).split()], dtype=np.uint64)
    words = np.pad(words, (0, max(0, _RUN - len(words))))
    runs = np.zeros(len(words) - _RUN + 1, dtype=np.uint64)
    for i in range(_RUN):
        runs = _scrambled(runs + words[i : i + len(runs)])
    return np.unique((runs >> np.uint64(32)).astype(np.uint32))


def jaccard(a: Shingles, b: Shingles) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def banding(threshold: float) -> tuple[int, int]:
    """Bands, and hashes per band: as many as leave a pair at the threshold a chance of 0.99 to share a bucket.

    The chance that two texts of Jaccard index s agree in one of b bands of r hashes is 1 - (1 - s^r)^b.
    """
    for n_rows in range(_N_HASHES // 2, 1, -1):
        n_bands = _N_HASHES // n_rows
        if 1 - (1 - threshold**n_rows) ** n_bands >= _MIN_RECALL:
            return n_bands, n_rows
    return _N_HASHES, 1


def _band_keys(found: Shingles, threshold: float) -> npt.NDArray[np.uint64]:
    n_bands, n_rows = banding(threshold)
    # Multiply-shift hashing (Dietzfelbinger et al., 1997): the high bits of odd multiples.
    hashes = (_FACTORS[: n_bands * n_rows, None] * _scrambled(found.astype(np.uint64))[None, :]) >> np.uint64(32)
    smallest = hashes.min(axis=1).reshape(n_bands, n_rows)
    keys = np.zeros(n_bands, dtype=np.uint64)
    for i in range(n_rows):
        keys = _scrambled(keys + smallest[:, i])
    return keys


def _scrambled(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A one-to-one mixing of 64-bit values: a step and two rounds of splitmix64 (Steele et al., 2014)."""
    values = (values + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
