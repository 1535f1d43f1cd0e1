"""A conversation -> the one question that an agent is asked, in one canonical form.

    Instructions: Answer in French.
    User: When was Welrel Brambram born?
    Assistant: 1875
    Question: Who is older, that person or Fulwom Thesfer?

A question without a history is the question alone, as in training and evaluation. All that is said before is one line
each and inert as observations are, so no turn can pass for another; a question keeps its lines. The form is text of a
Question like any other: a file of such texts evaluates how well an agent follows a conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fireact_ray.core.grammar import neutralise
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Question
from fireact_ray.serving.errors import ApiError
from fireact_ray.serving.settings import ServingSettings

Speaker = Literal["Instructions", "User", "Assistant", "Tool"]
QUESTION = "Question:"
_RAW_PER_READ = 4  # characters that are looked at per character asked: cleaning drops hidden ones


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of a conversation. `text` is as it was sent, and may be empty."""

    speaker: Speaker
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """`left_out`: what of the conversation the agent is not told, in words; "" where it is told all. `n_earlier`:
    characters of what is told beside the question."""

    question: Question
    left_out: str = ""
    n_earlier: int = 0


def asked(said: Sequence[Said], settings: ServingSettings, param: str, most_earlier: int | None = None) -> Asked:
    """The last thing that the user said, with what else was said. `param`: where it stood, for the error.
    `most_earlier`: characters for all that was said before, where a model has room for no more.

    Raises ApiError (400) where the user said nothing, or too much: a question is never cut.
    """
    at = max((i for i, turn in enumerate(said) if turn.speaker == "User"), default=-1)
    most, whole = settings.max_question_chars, said[at].text if at >= 0 else ""
    text = canonical_question(whole[: most * _RAW_PER_READ])
    if len(text) > most or len(whole) > most * _RAW_PER_READ:
        message = f"The question is longer than {most} characters, the most that this server takes."
        raise ApiError(400, message, param=param, code="context_length_exceeded")
    if not text:
        raise ApiError(400, "There must be a last message of the user that asks something.", param=param)
    earlier = [turn for i, turn in enumerate(said) if i != at and turn.text.strip()]
    if not earlier:
        return Asked(_question(text))
    if not settings.history:
        return Asked(_question(text), f"{_turns(len(earlier))}: this agent is asked one question at a time")
    room = most - len(text) - len(QUESTION) - 1
    lines, n_dropped = _fitting(earlier, room if most_earlier is None else min(room, most_earlier))
    bound = f"this server takes {most} characters" if most_earlier is None else "the model's context has no more room"
    dropped = f"{_turns(n_dropped)}: {bound}" if n_dropped else ""
    whole_text = "\n".join([*lines, f"{QUESTION} {text}"]) if lines else text
    return Asked(_question(whole_text), dropped, len(whole_text) - len(text))


def canonical_question(text: str) -> str:
    """Its lines, each without control characters, hidden characters and labels of the grammar; idempotent."""
    lines = (neutralise(line, 2 * len(line) + 4) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _fitting(earlier: Sequence[Said], room: int) -> tuple[list[str], int]:
    """Instructions first, then the newest turns that there is room for, in their order; and how many are left out."""
    newest_first = sorted(range(len(earlier)), key=lambda i: (earlier[i].speaker != "Instructions", -i))
    kept: dict[int, str] = {}
    for i in newest_first:
        if len(earlier[i].text) > room * _RAW_PER_READ:
            break
        line = f"{earlier[i].speaker}: {neutralise(earlier[i].text, 2 * len(earlier[i].text) + 4)}"
        room -= len(line) + 1
        if room < 0:  # and nothing older: a conversation with holes says something else
            break
        kept[i] = line
    return [kept[i] for i in sorted(kept)], len(earlier) - len(kept)


def _turns(n: int) -> str:
    return "1 earlier turn" if n == 1 else f"{n} earlier turns"


def _question(text: str) -> Question:
    return Question(task="served", id=content_hash(text), text=text, answers=())
