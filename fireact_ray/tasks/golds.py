"""What a row of anybody's file accepts as right, under whatever name and in whatever form, as clean texts.

    {"answer": 1954.0}                                            -> 1954
    {"golden_answers": ["Ada Moe", null], "answer": null}         -> Ada Moe
    {"answer": {"value": "Tarn", "aliases": ["Lake Tarn"]}}       -> Tarn, Lake Tarn
    {"answer": "Tarn", "answer_aliases": ["Lake Tarn"]}           -> Tarn, Lake Tarn
    {"answer": true}                                              -> yes, true

Texts are cleaned as an agent's answers are (`core/grammar.py`). Null, NaN, an infinity and an empty text are no answer.
"""

from __future__ import annotations

import ast
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from fireact_ray.core.grammar import canonical_argument
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.types import Question

# In this order; a row may name several where they have an answer in common.
NAMES = ("answer", "answers", "golden_answers", "gold_answers", "gold_answer", "gold", "correct_answer")
MORE_NAMES = ("ground_truth", "target", "possible_answers")
ALIASES = ("aliases", "answer_aliases", "answer_alias")
# Of a row that also holds what was answered: `answer` may well be that.
UNMISTAKABLE = frozenset({*NAMES, *MORE_NAMES, *ALIASES} - {"answer", "answers"})

_PARTS = ("value", "text", "target", "answer", "answers", "aliases")  # of an answer that is an object
_VERDICTS = {True: ("yes", "true"), False: ("no", "false")}
_ADJACENT = re.compile(r"""['"]\s+['"]""")
_EXACT = 2.0**53  # floats up to here are whole numbers exactly

logger = logging.getLogger(__name__)


class Unreadable(ValueError):
    """An answer is neither text, number, verdict nor a list of these; or two names of a row disagree."""


def accepted(row: Mapping[str, object]) -> tuple[str, ...]:
    """Every spelling that the row accepts, the canonical one first; none where it names none. Raises Unreadable."""
    given = [found for name in (*NAMES, *MORE_NAMES) if (found := tuple(_texts(row.get(name))))]
    for other in given[1:]:
        if not set(given[0]) & set(other):
            raise Unreadable(f"{given[0][0]!r} and {other[0]!r} are both named as the answer")
    aliases = (text for name in ALIASES for text in _texts(row.get(name)))
    return tuple(dict.fromkeys([*(text for one in given for text in one), *aliases]))


def say_unscored(task: str, file: str, questions: Sequence[Question]) -> None:
    """Where some questions of a file have no answer, so that nobody takes them for wrong ones. None at all is a set
    that is meant so."""
    without = sum(not question.answers for question in questions)
    if 0 < without < len(questions):
        logger.warning(
            "Task '%s': %s: %d of %d questions name no answer (nothing, null, NaN or an empty text): they are asked "
            "and not scored.",
            task,
            file,
            without,
            len(questions),
        )


def _texts(value: object, depth: int = 3) -> Iterator[str]:
    match value:
        case None:
            return
        case bool():
            yield from _VERDICTS[value]
        case int():
            yield str(value)
        case float():
            if math.isfinite(value):
                yield str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
        case str():
            if (several := _listed(value)) is not None:
                yield from _texts(several, depth)
            elif text := canonical_argument(value):
                yield text
        case list() if depth:
            for item in value:
                yield from _texts(item, depth - 1)
        case dict() if depth and not value.keys().isdisjoint(_PARTS):
            for name in _PARTS:
                yield from _texts(value.get(name), depth - 1)
        case _:
            raise Unreadable(f"no answer can be read from {value!r:.80}")


def _listed(text: str) -> list[object] | None:
    """The list of texts that a text is, as tables keep one: `["Tarn", "Lake Tarn"]`, or as Python writes it:
    `['Tarn', "Tarn's lake"]`."""
    if not text.startswith(('["', "['")):
        return None
    found = _parsed(text)
    return found if isinstance(found, list) and all(isinstance(item, str) for item in found) else None


def _parsed(text: str) -> object:
    try:
        return parse(text)
    except NotJson:
        if _ADJACENT.search(text):  # which Python would join
            return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
