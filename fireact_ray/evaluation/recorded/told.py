"""The one reply of a row that asks no tool of ours in, its answer out: by memory, step by step, or by Search-R1.

    Ila Dun                                                                     the whole reply
    It is a novel by Ila Dun.\nAnswer: Ila Dun                                  what `data/formats/final.py` marks
    <search>Road to Zem</search><information>...</information><answer>Ila Dun</answer>

A reply that goes on without an answer, by a label of the grammar or the mark of a call, is none.
"""

from __future__ import annotations

import re

from fireact_ray.core import labels
from fireact_ray.core.grammar import canonical_argument
from fireact_ray.data.formats.calls import check_no_call
from fireact_ray.data.formats.final import is_in_grammar, thought_and_answer
from fireact_ray.data.formats.transcript import NoTranscript

_SEARCHES = re.compile(r"</?(?:search|information)>")


def told_answer(reply: str) -> str | None:
    """None where it holds none."""
    if is_in_grammar(reply):
        return None
    _, answer = thought_and_answer(reply)
    is_marked = answer != reply.strip()
    if not is_marked and (any(labels.labels(reply)) or searches_within(reply) or _holds_a_call(reply)):
        return None
    return canonical_argument(answer) or None


def searches_within(reply: str) -> bool:
    """Search-R1 writes its searches and what they found into one reply."""
    return _SEARCHES.search(reply) is not None


def _holds_a_call(reply: str) -> bool:
    try:
        check_no_call(reply)
    except NoTranscript:
        return True
    return False
