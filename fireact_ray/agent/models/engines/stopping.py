"""Where a reply ends because of what it says: looked for by us in every engine, so that all of them end alike.

Engines differ in how they decode while they look (spaces, special tokens, cut characters), in which tokens they return,
and in how many stop strings they take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class StopStrings:
    """`decode` turns ids into the text in which they are looked for; special tokens are no text. One serves any number
    of replies, the faster the more."""

    def __init__(self, stop: Sequence[str], decode: Callable[[Sequence[int]], str]) -> None:
        self._stop, self._decode = stop, decode
        self._n_tail = max((len(one.encode()) for one in stop), default=0) + 1  # whose space may be dropped
        self._last = "".join(one[-1:] for one in stop)
        self._may_end: dict[int, bool] = {}  # by token: whether a stop string may end with it

    def __bool__(self) -> bool:
        return bool(self._stop)

    def completed_by(self, new_ids: Sequence[int]) -> bool:
        """Whether the newest token completes one. A stop string has at most as many tokens as bytes."""
        if not self._stop or not self._may_end_with(new_ids[-1]):
            return False
        tail = self._decode(new_ids[-self._n_tail :])
        if "\ufffd" in tail:  # it begins within a character, which can spoil what comes behind it
            tail = self._decode(new_ids)
        return any(one in tail for one in self._stop)

    def _may_end_with(self, token: int) -> bool:
        """False for most tokens: by themselves they show that they do not hold the last character of any. Not so
        spaces, which decoders drop at the beginning, and parts of characters."""
        found = self._may_end.get(token)
        if found is None:
            text = self._decode([token])
            is_clear = text.strip() and "\ufffd" not in text and not any(one.isspace() for one in self._last)
            found = self._may_end[token] = not is_clear or any(one in text for one in self._last)
        return found
