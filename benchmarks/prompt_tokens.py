"""How much of what agents ask has to be read at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def fewest(replies: Iterable[tuple[Sequence[int], Sequence[int]]]) -> int:
    """Prompt tokens that have to be computed, whatever is kept: of (prompt, reply), in the order in which replies came.
    Each beginning that prompts share counts once, and what the model itself wrote counts no more."""
    known: dict[int, Any] = {}
    n = 0
    for prompt, reply in replies:
        at = known
        for token in prompt:
            n += token not in at
            at = at.setdefault(token, {})
        for token in reply:
            at = at.setdefault(token, {})
    return n
