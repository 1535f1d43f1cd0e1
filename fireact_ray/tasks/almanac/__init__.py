"""The almanac: a bundled, invented encyclopedia with thousands of questions; no file, no network."""

from __future__ import annotations

import functools

from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Question
from fireact_ray.tasks.almanac.questions import questions
from fireact_ray.tasks.almanac.world import SPLITS, corpus, corpus_fingerprint, world
from fireact_ray.tasks.base import Task
from fireact_ray.tasks.scoring import best_score

__all__ = ["ALMANAC", "corpus", "corpus_fingerprint"]


def _load(path: str | None, split: str) -> list[Question]:
    """The questions of `split`; `path` is ignored. Raises InputError for an unknown split."""
    if split not in SPLITS:
        raise InputError(f"almanac: no split {split!r}. Known: {', '.join(SPLITS)}.")
    return list(_questions(split))


@functools.cache
def _questions(split: str) -> tuple[Question, ...]:
    return tuple(questions(world(split)))


ALMANAC = Task(
    name="almanac",
    load=_load,
    score=lambda question, answer: best_score(answer, question.answers),
    needs_path=False,
)
