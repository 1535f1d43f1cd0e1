"""HotpotQA (Yang et al., 2018): multi-hop questions, scored by exact match and F1.

One row of the official release (hotpot_dev_distractor_v1.json and its sisters), a JSON list:

    {"_id": "5a8b57f25542995d1e6f1371", "answer": "yes", "type": "comparison", "level": "hard",
     "question": "Were Scott Derrickson and Ed Wood of the same nationality?",
     "supporting_facts": [...], "context": [...]}

and of the simplified one: {"question": ..., "answer": ..., "type": ...}. The test release holds no answers. Sets of the
same shape (2WikiMultihopQA, MuSiQue) name aliases too, which are accepted (`golds.py`).
"""

from __future__ import annotations

from fireact_ray.core.types import Question, Score
from fireact_ray.tasks.base import Task
from fireact_ray.tasks.golds import accepted, say_unscored
from fireact_ray.tasks.loading import build, data_file, question_id, read_json_rows, text_of
from fireact_ray.tasks.scoring import best_score

NAME = "hotpotqa"


def load(path: str | None, split: str) -> list[Question]:
    """Questions of a file, or of a folder's file for `split` (train, dev, test). Raises InputError."""
    names = [
        f"hotpotqa_{split}.json",
        f"hotpot_{split}_distractor_v1.json",
        f"hotpot_{split}_fullwiki_v1.json",
        f"hotpot_{split}_v1.1.json",
    ]
    file = data_file(NAME, path, names, "HotpotQA's JSON file, or a folder that holds it")
    rows = enumerate(read_json_rows(NAME, file), start=1)
    questions = build(NAME, file, rows, _question, 'an object with texts "question" and "answer"')
    say_unscored(NAME, file, questions)
    return questions


def score(question: Question, answer: str | None) -> Score:
    return best_score(answer, question.answers)


def _question(row: object) -> Question | None:
    text = text_of(row, "question")
    if not isinstance(row, dict) or text is None:
        return None
    return Question(
        task=NAME,
        id=text_of(row, "_id") or question_id(NAME, text),
        text=text,
        answers=accepted(row),
        kind=text_of(row, "type") or "",
    )


HOTPOTQA = Task(NAME, load, score)
