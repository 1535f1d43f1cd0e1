"""Text of anybody in, text that is safe to look at out: nothing hidden in it stays hidden, none is endless.

A browser obeys no escape sequences, but direction overrides turn a line around, and characters without width hide words
from the reader. They are shown by their names, so that what one sees is what the model saw.
"""

from __future__ import annotations

import unicodedata

MAX_CHARS = 20_000  # of one text: more is no reading matter
_KEPT = "\n\t\u200c\u200d"  # the last two join letters and emoji


class Texts:
    """Makes texts visible, and counts those that it had to cut."""

    def __init__(self, max_chars: int = MAX_CHARS) -> None:
        self.max_chars = max_chars
        self.n_cut = 0

    def __call__(self, text: str) -> str:
        """`visible`; a text longer than `max_chars` is cut and says how much is missing."""
        if len(text) <= self.max_chars:
            return visible(text)
        self.n_cut += 1
        return f"{visible(text[: self.max_chars])} … ({len(text) - self.max_chars:,} more characters)"


def visible(text: str) -> str:
    """Control, direction, invisible and half characters by their names, as in `‹U+202E›`; line ends as newlines."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text.replace("\r\n", "\n").replace("\r", "\n")))


def _visible(char: str) -> str:
    if char.isprintable() or char in _KEPT or unicodedata.category(char) == "Zs":
        return char
    return f"‹U+{ord(char):04X}›"
