"""Bamboogle (Press et al., 2022): 125 two-hop questions that a plain web search answers wrongly. EM and F1.

The file as released, with its header:

    Question,Answer
    What rocket was the first spacecraft that ever approached Uranus launched on?,Titan IIIE
"""

from __future__ import annotations

from fireact_ray.core.errors import InputError
from fireact_ray.core.grammar import canonical_argument
from fireact_ray.core.types import Question, Score
from fireact_ray.tasks.base import Task
from fireact_ray.tasks.loading import build, data_file, question_id, quoted, read_csv_rows
from fireact_ray.tasks.scoring import best_score

NAME = "bamboogle"
HEADER = ["Question", "Answer"]


def load(path: str | None, split: str) -> list[Question]:
    """Questions of a file, or of a folder's file for `split` (the release has only a test split).

    Raises InputError.
    """
    names = [f"bamboogle_{split}.csv", "bamboogle.csv", "Bamboogle Prerelease - Sheet1.csv"]
    file = data_file(NAME, path, names, "Bamboogle's CSV file, or a folder that holds it")
    header, *rows = read_csv_rows(NAME, file) or [[]]
    if [cell.strip() for cell in header] != HEADER:
        raise InputError(
            f"Task '{NAME}': {file}: expected the header {','.join(HEADER)}, found {quoted(','.join(header))}."
        )
    return build(NAME, file, enumerate(rows, start=1), _question, "two cells, a question and its answer")


def score(question: Question, answer: str | None) -> Score:
    return best_score(answer, question.answers)


def _question(row: list[str]) -> Question | None:
    text, answer = (cell.strip() for cell in row) if len(row) == len(HEADER) else ("", "")
    if not text or not canonical_argument(answer):
        return None
    return Question(NAME, question_id(NAME, text), text, (canonical_argument(answer),))


BAMBOOGLE = Task(NAME, load, score)
