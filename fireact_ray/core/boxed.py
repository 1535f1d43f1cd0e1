"""The boxes of LaTeX that models put answers into: where they stand in a text, and what is in them.

So we have \\boxed{\\frac{1}{2}}.  ->  \\frac{1}{2}
$\\boxed{\\text{Lake Tarn}}$       ->  Lake Tarn
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BRACES = re.compile(r"\\boxed[ \t]*\{|[{}]")
_WORDS = re.compile(r"\s*\\(?:text|mathrm|textbf)\{([^{}]*)\}\s*")


class Box(NamedTuple):
    """`text[start:end]` is the box, `inner` what stands in it, without the command that sets words in a formula."""

    start: int
    end: int
    inner: str


def boxes(text: str) -> list[Box]:
    """Every box whose brace closes, in the order of their starts. One that holds another stands before that."""
    found = []
    opened: list[re.Match[str]] = []
    for brace in _BRACES.finditer(text) if "\\boxed" in text else ():
        if brace[0] != "}":
            opened.append(brace)
        elif opened and len((opening := opened.pop())[0]) > 1:
            content = text[opening.end() : brace.start()]
            words = _WORDS.fullmatch(content)
            found.append(Box(opening.start(), brace.end(), words[1] if words else content))
    return sorted(found)


def whole_box(text: str) -> str | None:
    """What stands in the box that is all of the text but for dollar signs; None where none is."""
    bare = text.strip("$ ")
    first = next(iter(boxes(bare)), None)
    return first.inner if first is not None and (first.start, first.end) == (0, len(bare)) else None
