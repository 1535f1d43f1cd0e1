"""What a task is: where its questions come from and how an answer is scored."""

from collections.abc import Callable
from dataclasses import dataclass

from fireact_ray.core.types import Question, Score
from fireact_ray.tasks.answer_metrics import AnswerMetrics, text_metrics


@dataclass(frozen=True, slots=True)
class Task:
    """`load(path, split)` reads questions (raises InputError naming file, row and what was expected);
    `score(question, answer)` scores an answer as the task's paper does (`answer` is None where there was none: 0).

    `metrics(question, answer)` holds the same score and what else a report shows; both need an accepted answer."""

    name: str
    load: Callable[[str | None, str], list[Question]]
    score: Callable[[Question, str | None], Score]
    needs_path: bool = True  # False for tasks that ship with the package
    metrics: Callable[[Question, str | None], AnswerMetrics] = text_metrics
