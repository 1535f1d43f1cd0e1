"""Judging answers: each question asks a model whether an answer to another question is right, yes or no.

`fireact score --judge` writes them, one JSON object per line:

    {"question": "Who painted The Night Watch?", "accepted": ["Rembrandt"], "answer": "Rembrandt van Rijn"}

Which verdict is right nobody knows, so that they are asked and not scored.
"""

from __future__ import annotations

from collections.abc import Sequence

from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.types import Question, Score
from fireact_ray.tasks.base import Task
from fireact_ray.tasks.loading import build, data_file, question_id, quoted, read_text
from fireact_ray.tasks.scoring import best_score

NAME = "judge"
FILE = "questions.jsonl"


def load(path: str | None, split: str) -> list[Question]:
    """Questions of a file, or of a folder's questions.jsonl. Raises InputError."""
    file = data_file(NAME, path, [FILE], "a JSONL file of answers to be judged, or a folder that holds it")
    rows: list[tuple[int, object]] = []
    for number, line in enumerate(read_text(NAME, file).splitlines(), start=1):
        try:
            rows.append((number, parse(line)))
        except NotJson as error:
            raise InputError(f"Task '{NAME}': {file}, row {number}: {quoted(line)} is not JSON ({error}).") from None
    return build(NAME, file, rows, _question, 'an object with "question", "accepted" and "answer"')


def score(question: Question, answer: str | None) -> Score:
    return best_score(answer, question.answers)


def judging(question: str, accepted: Sequence[str], answer: str) -> Question:
    """Whether `answer` is right. The same three texts are the same question."""
    text = f"Asked: {question}\nAccepted: {' | '.join(accepted)}\nAnswered: {answer}"
    return Question(NAME, question_id(NAME, text), text, ())


def _question(row: object) -> Question | None:
    match row:
        case {"question": str(question), "accepted": list(accepted), "answer": str(answer)}:
            return judging(question, [str(one) for one in accepted], answer)
    return None


JUDGE = Task(NAME, load, score)
