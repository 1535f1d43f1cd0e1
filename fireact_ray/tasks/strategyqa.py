"""StrategyQA (Geva et al., 2021): yes/no questions whose steps are implicit; scored by accuracy.

One row of its JSON list (the release's test file has no "answer"):

    {"qid": "e0044a7b4d146d611e73", "term": "Albany, Georgia", "answer": false, "facts": [...],
     "question": "Will the Albany in Georgia reach a hundred thousand occupants before the one in New York?"}

An answer may also be a text that is a verdict ("yes", "True").
"""

from __future__ import annotations

from fireact_ray.core.types import Question, Score
from fireact_ray.tasks.answer_metrics import AnswerMetrics, verdict_metrics
from fireact_ray.tasks.base import Task
from fireact_ray.tasks.forms import verdict
from fireact_ray.tasks.loading import build, data_file, question_id, read_json_rows, text_of

NAME = "strategyqa"


def load(path: str | None, split: str) -> list[Question]:
    """Questions of a file, or of a folder's file for `split` (train, dev, test). Raises InputError."""
    names = [f"strategyqa_{split}.json", f"{split}.json"]
    file = data_file(NAME, path, names, "StrategyQA's JSON file, or a folder that holds it")
    rows = enumerate(read_json_rows(NAME, file), start=1)
    return build(NAME, file, rows, _question, 'an object with a text "question" and true or false as "answer"')


def score(question: Question, answer: str | None) -> Score:
    """1 for the right verdict, however it is put (yes, True, "No, because ..."); F1 equals exact match."""
    right = float(answer is not None and verdict(answer) in question.answers)
    return Score(right, right)


def metrics(question: Question, answer: str | None) -> AnswerMetrics:
    return verdict_metrics(score(question, answer).exact_match)


def _question(row: object) -> Question | None:
    text = text_of(row, "question")
    if not isinstance(row, dict) or text is None:
        return None
    given = row.get("answer")
    means = verdict(str(given)) if isinstance(given, bool | str) else None
    if means is None and given is not None:
        return None
    return Question(
        task=NAME,
        id=text_of(row, "qid") or question_id(NAME, text),
        text=text,
        answers=(means,) if means else (),
    )


STRATEGYQA = Task(NAME, load, score, metrics=metrics)
