"""What a lint rule is: a named fault of a row, why it matters, an example, and the function that finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fireact_ray.data.formats.records import Record

CHARS_PER_TOKEN = 3.5  # our estimate for English transcripts under Llama-2; a tokenizer counts exactly


def estimated_tokens(text: str) -> int:
    return round(len(text) / CHARS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Context:
    """What rows are measured against. `questions`: those of the evaluation; None leaves contamination unchecked.

    `near_duplicate`: the Jaccard index of two rows' shingles from which they count as near duplicates, None leaves that
    unchecked; `near_question`: of two questions' words, from which they count as the same question.
    """

    max_tokens: int = 2048
    count_tokens: Callable[[str], int] = estimated_tokens
    near_duplicate: float | None = 0.8
    near_question: float = 0.9
    questions: Sequence[str] | None = None


Check = Callable[[Sequence[Record], Context], Iterable[int]]  # positions of the faulty records in the sequence


@dataclass(frozen=True, slots=True)
class Rule:
    """`example`: rows of turns, the user's first; the last row is one that the rule finds. `system`: the example's
    system text."""

    code: str
    reason: str
    example: tuple[tuple[str, ...], ...]
    check: Check
    system: str = ""


def each(is_faulty: Callable[[Record], bool]) -> Check:
    """A check that looks at one record at a time."""
    return lambda records, context: (i for i, record in enumerate(records) if is_faulty(record))


# Examples are this row with one thing wrong.
ASK = "How deep is Lake Tarn?"
SEARCH = "Thought: I look it up.\nAction: search[Lake Tarn depth]"
FOUND = "Observation: Lake Tarn is 410 m deep."
FINISH = "Thought: I have it.\nAction: finish[410 m]"
RIGHT = "Observation: Episode finished, reward = True"
