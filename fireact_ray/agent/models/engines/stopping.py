"""Where a reply ends because of what it says: looked for by us in every engine, so that all of them end alike.

Engines differ in how they decode while they look (spaces, special tokens, cut characters), in which tokens they return,
and in how many stop strings they take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

_CUT_CHARACTER = 4  # tokens more than a stop string has bytes, in case what is decoded begins within a character


class StopStrings:
    """`decode` turns ids into the text in which they are looked for; special tokens are no text."""

    def __init__(self, stop: Sequence[str], decode: Callable[[Sequence[int]], str]) -> None:
        self._stop, self._decode = stop, decode
        self._n_tail = max((len(one.encode()) for one in stop), default=0) + _CUT_CHARACTER

    def __bool__(self) -> bool:
        return bool(self._stop)

    def completed_by(self, new_ids: Sequence[int]) -> bool:
        """Whether the newest token completes one. A stop string has at most as many tokens as bytes."""
        if not self._stop:
            return False
        tail = self._decode(new_ids[-self._n_tail :])
        return any(one in tail for one in self._stop)
