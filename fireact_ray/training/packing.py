"""Lengths in, packs out: which rows stand behind one another in one line of a batch.

Best-fit-decreasing: from the longest on, each row goes where it leaves the least space, and opens a pack of its own
where it fits nowhere. The space left is a small whole number, so packs are kept by it and the fullest that still fits
is found by one look at the bits of an integer: time grows with the number of rows, whatever the number of packs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Pack = tuple[int, ...]  # indices of rows, in the order in which they stand


def pack(lengths: Sequence[int], capacity: int) -> list[Pack]:
    """Every row once, no pack longer than `capacity`; the same packs for the same lengths.

    Raises ValueError where a length is not 1 to `capacity`: rows are never cut.
    """
    if any(not 1 <= length <= capacity for length in lengths):
        raise ValueError(f"Lengths must be 1 to {capacity}, found {min(lengths)} to {max(lengths)}.")
    packs: list[list[int]] = []
    by_space: list[list[int]] = [[] for _ in range(capacity + 1)]  # numbers of packs
    spaces = 0  # bit s: a pack has exactly s tokens left
    for row in np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist():
        length = int(lengths[row])
        if fitting := spaces >> length:
            space = length + (fitting & -fitting).bit_length() - 1
            number = by_space[space].pop()
            spaces ^= 0 if by_space[space] else 1 << space
        else:
            space, number = capacity, len(packs)
            packs.append([])
        packs[number].append(row)
        by_space[space - length].append(number)
        spaces |= 1 << (space - length)
    return [tuple(rows) for rows in packs]
