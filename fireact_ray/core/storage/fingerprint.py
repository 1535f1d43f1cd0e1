"""The fingerprint of a dataset: which rows it holds, token by token, and which renderer made them.

A row has a digest, wherever it is made; the fingerprint is that of all digests, in whatever order and files the rows
lie. Converting writes it into the manifest; training computes it again of what it has read.

Versions before it knew a dataset by two other numbers, which old run folders remember: `inputs.json` of checkpoints by
`earlier_of_keys`, checkpoints and model cards by `earlier_of_rows`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from fireact_ray.core.hashing import content_hash

Ids = np.ndarray[tuple[int], np.dtype[np.int32]]
Mask = np.ndarray[tuple[int], np.dtype[np.int8]]

DIGEST_BYTES = 16  # that two of a billion rows share one by chance is less likely than 1 in 10^20


def row_digest(key: str, ids: Ids, mask: Mask) -> bytes:
    """`ids`, `mask`: (T,)."""
    digest = hashlib.blake2b(f"{key} {len(ids)} ".encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES)
    digest.update(ids.tobytes())
    digest.update(mask.tobytes())
    return digest.digest()


def dataset_fingerprint(digests: Iterable[bytes], renderer_fingerprint: str) -> str:
    """16 hex digits. `digests`: of every row, in any order."""
    joined = bytearray()
    for one in digests:
        joined += one
    digest = hashlib.sha256(f"{renderer_fingerprint} ".encode())
    np.frombuffer(joined, f"S{DIGEST_BYTES}").sort()  # in place
    digest.update(joined)
    return digest.hexdigest()[:16]


def earlier_of_keys(keys: Iterable[str], renderer_fingerprint: str) -> str:
    return content_hash([sorted(keys), renderer_fingerprint])


def earlier_of_rows(rows: Iterable[tuple[str, Ids, Mask]], renderer_fingerprint: str) -> str:
    """`rows`: key, ids and mask, in the order of keys and ids."""
    digest = hashlib.sha256(renderer_fingerprint.encode())
    for key, ids, mask in rows:
        digest.update(f"{key} {len(ids)}".encode())
        digest.update(ids.tobytes())
        digest.update(mask.tobytes())
    return digest.hexdigest()[:16]
