"""Text of anybody in, text that is safe to look at out: nothing hidden in it stays hidden, none is endless.

A browser obeys no escape sequences, but direction overrides turn a line around, characters without width hide words
from the reader, and a heap of accents covers the lines beside it. They are shown by their names, so that what one sees
is what the model saw.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

MAX_CHARS = 20_000  # of one text: more is no reading matter
_KEPT = "\n\t\u200c\u200d"  # the last two join letters and emoji
_MAX_MARKS = 8  # on one letter; no language needs as many


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
    """Control, direction, invisible and half characters by their names, as in `‹U+202E›`; line ends as newlines.

    Of accents heaped on one letter the first are kept, and the others counted.
    """
    if text.isascii() and text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _heap().sub(_first_marks, "".join(map(_visible, lines)))


def _visible(char: str) -> str:
    if char.isprintable() or char in _KEPT or unicodedata.category(char) == "Zs":
        return char
    return f"‹U+{ord(char):04X}›"


def _first_marks(heap: re.Match[str]) -> str:
    return f"{heap.group()[:_MAX_MARKS]}‹{len(heap.group()) - _MAX_MARKS} more marks›"


@cache
def _heap() -> re.Pattern[str]:
    marks = "".join(char for char in map(chr, range(0x300, 0x20000)) if unicodedata.category(char)[0] == "M")
    return re.compile(f"[{marks}]{{{_MAX_MARKS + 1},}}")
