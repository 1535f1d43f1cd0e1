"""Rules about a row among others: its length, its likes in the file, its question in the evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fireact_ray.data.formats.records import Record
from fireact_ray.data.lint.base import ASK, FINISH, FOUND, SEARCH, Context, Rule
from fireact_ray.data.lint.contamination import QuestionIndex
from fireact_ray.data.lint.similarity import near_duplicates


def too_long(records: Sequence[Record], context: Context) -> Iterator[int]:
    return (i for i, record in enumerate(records) if context.count_tokens(_text(record)) > context.max_tokens)


def duplicate(records: Sequence[Record], context: Context) -> Iterator[int]:
    seen: set[str] = set()
    for i, text in _texts(records):
        if text in seen:
            yield i
        seen.add(text)


def near_duplicate(records: Sequence[Record], context: Context) -> Iterator[int]:
    """Equal rows are `duplicate`, and no case of this rule."""
    if context.near_duplicate is None:
        return
    first: dict[str, int] = {}
    for i, text in _texts(records):
        first.setdefault(text, i)
    places = list(first.values())
    yield from (places[i] for i in near_duplicates(first, context.near_duplicate))


def contaminated(records: Sequence[Record], context: Context) -> Iterator[int]:
    index = QuestionIndex(context.questions or (), context.near_question)
    return (i for i, record in enumerate(records) if index.find(record.question) is not None)


def _text(record: Record) -> str:
    return "\n".join(turn.written for turn in record.turns)


def _texts(records: Sequence[Record]) -> list[tuple[int, str]]:
    """Readable rows by their places, white space apart."""
    return [(i, " ".join(_text(record).split())) for i, record in enumerate(records) if record.turns]


RULES = [
    Rule(
        "too_long",
        "More tokens than the limit. Cut, it would lose its finish; it has to be left out.",
        ((ASK, SEARCH, "Observation: " + "Lake Tarn is deep. " * 400, FINISH),),
        too_long,
    ),
    Rule(
        "duplicate",
        "The same conversation again: it would weigh double.",
        ((ASK, SEARCH, FOUND, FINISH), (ASK, SEARCH, FOUND, FINISH)),
        duplicate,
    ),
    Rule(
        "near_duplicate",
        "Almost the same conversation again, question, replies and observations taken together.",
        ((ASK, SEARCH, FOUND, FINISH), (ASK, SEARCH, FOUND, FINISH.replace("have it", "have it now"))),
        near_duplicate,
    ),
    Rule(
        "contaminated",
        "The question is one of the evaluation's, or nearly so: its score would measure memory.",
        ((ASK, SEARCH, FOUND, FINISH),),
        contaminated,
    ),
]
