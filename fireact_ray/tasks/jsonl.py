"""One's own questions, one JSON object per line, scored by exact match and F1.

    {"question": "Which harbour is older, Skarvik or Tornby?", "answer": "Skarvik", "id": "q-17"}
    {"question": "Who built the light of Tornby?", "answers": ["Ada Moe", "A. Moe"], "kind": "1hop"}
    {"question": "Which of our depots still lacks a crane?"}

`answers` holds accepted spellings, the canonical one first; a question without any is asked, not scored. Other names
and forms of answers are read too (`golds.py`). `id` and `kind` are optional. A row with `choices` is refused.
"""

from __future__ import annotations

from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.types import Question, Score
from fireact_ray.tasks.base import Task
from fireact_ray.tasks.golds import Unreadable, accepted, say_unscored
from fireact_ray.tasks.loading import build, data_file, question_id, quoted, read_text
from fireact_ray.tasks.scoring import best_score

NAME = "jsonl"
_CHOICES = ("choices", "options")
_NEXT = (
    'Write one question a line, as in {"question": "Who ...?", "answer": "Ada Moe"}; pandas does by '
    "to_json(path, orient='records', lines=True)"
)


def load(path: str | None, split: str) -> list[Question]:
    """Questions of a file, or of a folder's {split}.jsonl. Row numbers in messages are line numbers."""
    file = data_file(NAME, path, [f"{split}.jsonl"], "a JSONL file of questions, or a folder that holds it")
    rows: list[tuple[int, object]] = []
    for number, line in enumerate(read_text(NAME, file).split("\n"), start=1):
        if line.strip():
            try:
                rows.append((number, parse(line)))
            except NotJson as error:
                raise InputError(
                    f"Task '{NAME}': {file}, row {number}: expected one JSON object, "
                    f"found {quoted(line.strip())} ({error.reason}, column {error.column}). {_NEXT}."
                ) from None
    expected = 'an object with a text "question", and "answer" or "answers" (texts or numbers) or neither'
    questions = build(NAME, file, rows, _question, expected)
    say_unscored(NAME, file, questions)
    return questions


def score(question: Question, answer: str | None) -> Score:
    return best_score(answer, question.answers)


def _question(row: object) -> Question | None:
    if isinstance(row, list):
        raise Unreadable(f"it is a list. {_NEXT}")
    if not isinstance(row, dict):
        return None
    text, kind, row_id = (_cell(row.get(name)) for name in ("question", "kind", "id"))
    if not text or kind is None or row_id is None:
        return None
    if named := next((name for name in _CHOICES if row.get(name)), None):
        raise Unreadable(
            f"it holds `{named}`, which would not be shown: write the choices into the text of the question, and the "
            "right one's text into `answer`"
        )
    return Question(NAME, row_id or question_id(NAME, text), text, accepted(row), kind)


def _cell(value: object) -> str | None:
    """A text or a number as stripped text, null as none; None for anything else."""
    if value is None:
        return ""
    return str(value).strip() if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


JSONL = Task(NAME, load, score)
