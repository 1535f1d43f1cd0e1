"""What is found in a row of anybody's corpus: passages, or the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")  # all but tab and line ends


class LeftOut(StrEnum):
    """Why a row, or a part of it, gives no passage."""

    NOT_JSON = "broken JSON"
    NO_OBJECT = "no JSON object"
    NOT_TEXT = "no UTF-8 text"
    CELLS = "another number of cells than the header"
    NO_FIELD = "no field with a text"
    EMPTY = "empty text"


@dataclass(frozen=True, slots=True)
class Passage:
    """`by_title`: the same title means the same passage: beside questions, articles come again and again."""

    title: str
    text: str
    by_title: bool = False


Found = Passage | LeftOut


def passage(title: object, text: object, *, by_title: bool = False) -> Found:
    """Without control characters, the title in one line; EMPTY where nothing is left of the text.

    `title` may be anything; `text` is a text or sentences, and anything else is NO_FIELD.
    """
    body = sentences_joined(text) if isinstance(text, (list, tuple)) else text
    if not isinstance(body, str):
        return LeftOut.NO_FIELD
    body = _CONTROLS.sub(" ", body.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not body:
        return LeftOut.EMPTY
    return Passage(" ".join(_CONTROLS.sub(" ", _title(title)).split()), body, by_title)


def sentences_joined(sentences: Sequence[object]) -> str | None:
    """Sentences in one text, a space between two that have none; None where one of them is no text.

    HotpotQA's sentences begin with the space before them, those of its successors do not.
    """
    return "".join(_spaced(sentences)) if all(isinstance(one, str) for one in sentences) else None


def _spaced(sentences: Sequence[object]) -> Iterator[str]:
    before = ""
    for sentence in map(str, sentences):
        if before and sentence and not (before[-1].isspace() or sentence[0].isspace()):
            yield " "
        yield sentence
        before = sentence or before


def _title(value: object) -> str:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
