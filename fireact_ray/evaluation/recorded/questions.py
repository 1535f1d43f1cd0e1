"""Task files that hold the accepted answers: `hotpotqa=data/hotpotqa_dev.json` in, questions to be looked up out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Question
from fireact_ray.core.utils.folding import folded
from fireact_ray.tasks import TASKS, get_task

_LABEL = re.compile(r"\s*(?:question|q)\s*\d{0,4}\s*[:：]", re.IGNORECASE)


class Questions:
    """Found by their text: case, punctuation, accents and a label before it do not count; choices do."""

    def __init__(self, questions: Iterable[Question]) -> None:
        self._by_text: dict[str, Question] = {}
        for question in questions:
            if question.answers:
                self._by_text.setdefault(_text(question.text), question)

    def __len__(self) -> int:
        return len(self._by_text)

    def find(self, text: str) -> Question | None:
        return self._by_text.get(_text(text))


def read_questions(against: Sequence[str], split: str) -> Questions:
    """`against`: TASK=PATH each; a task that ships with the package needs no path. Raises InputError."""
    questions: list[Question] = []
    for given in against:
        name, equals, path = given.partition("=")
        if not equals and name not in TASKS:
            raise InputError(f"--against {given}: say of which task it is, as in hotpotqa={given}. Known: {_known()}.")
        questions += get_task(name).load(path or None, split)
    found = Questions(questions)
    if not len(found):
        raise InputError(f"--against {' '.join(against)}: no question names an answer. Give a split that does.")
    return found


def _known() -> str:
    return ", ".join(TASKS)


def _text(text: str) -> str:
    label = _LABEL.match(text)
    return folded(text[label.end() :] if label else text)
