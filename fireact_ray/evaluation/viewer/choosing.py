"""Which rows a page holds where there are more than it may: a fair part of each system, on the same questions."""

from __future__ import annotations

from collections.abc import Sequence

from fireact_ray.core.hashing import content_hash

LIMIT = 5_000  # rows of a page, with which it is still quick


def question_key(text: str) -> str:
    """Two rows with the same key answer the same question, whoever wrote their spaces."""
    return " ".join(text.split())


def choose_rows(systems: Sequence[Sequence[str]], limit: int) -> list[list[int]]:
    """Positions of the rows in the page, for each system, in their order; at most `limit` in all.

    `systems`: the question of each row. A small system is taken whole, and larger ones share what is left. Where one
    is cut, all are cut by the same order of questions, a hash's, so that they can be compared and no kind of question
    that was written first is preferred.
    """
    shares = _shares([len(questions) for questions in systems], limit)
    return [_first(questions, share) for questions, share in zip(systems, shares, strict=True)]


def _shares(sizes: Sequence[int], limit: int) -> list[int]:
    shares = [0] * len(sizes)
    left = limit
    smallest_first = sorted(range(len(sizes)), key=lambda system: sizes[system])
    for n_taken, system in enumerate(smallest_first):
        shares[system] = min(sizes[system], left // (len(sizes) - n_taken))
        left -= shares[system]
    return shares


def _first(questions: Sequence[str], share: int) -> list[int]:
    places = range(len(questions))
    if share >= len(questions):
        return list(places)
    order = {text: content_hash(question_key(text)) for text in set(questions)}
    return sorted(sorted(places, key=lambda place: (order[questions[place]], place))[:share])
