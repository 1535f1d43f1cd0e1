"""What a row says, turn by turn, in whatever format it was written.

A turn of the assistant is one text in the grammar, or, where the format tells a call apart from what is said beside it,
that text and the calls. Such a call never goes through text: no bracket, newline or label in it can be misread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fireact_ray.core.grammar import ACTION
from fireact_ray.core.types import Action, Score

Role = Literal["system", "user", "assistant", "observation"]


@dataclass(frozen=True, slots=True)
class PackedCall(Action):
    """A call of several arguments, of which none is known to be the query or the answer: all of them as JSON."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. An observation comes without its label.

    `actions`: the calls of an assistant's turn, arguments canonical; `text` is then its thought. Without any, `text`
    is a reply in the grammar. `reasoning`: what the model thought outside of `text`, or hid in it; where it was cut off
    `text`, `received` is the text with it.
    """

    role: Role
    text: str
    actions: tuple[Action, ...] = ()
    reasoning: str = ""
    received: str = ""

    @property
    def written(self) -> str:
        """The turn as one text: its calls as the grammar writes them."""
        if not self.actions:
            return self.text
        calls = "\n".join(f"{ACTION} {action.tool}[{action.argument}]" for action in self.actions)
        return f"{self.text}\n{calls}".strip()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row's turns. `notes`: what the row holds that is not read, or read as something else: each ends the sentence
    "the row holds ...".

    What a row says beside them: `task`, empty where it says none; `golds`, the accepted answers; of formats that record
    them `answered`, what was answered (empty: nothing), and `recorded`, the score, whose F1 is the exact match once
    more where not `tells_f1`. `is_result`: the turns are only what was asked and answered, of steps nothing is known.
    """

    turns: tuple[Message, ...]
    notes: tuple[str, ...] = ()
    task: str = ""
    golds: tuple[str, ...] = ()
    answered: str | None = None
    recorded: Score | None = None
    tells_f1: bool = True
    is_result: bool = False
