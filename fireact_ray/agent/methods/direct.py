"""IO and CoT: one reply, no tool. IO asks for the answer alone, CoT (Wei et al., 2022) for a thought before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fireact_ray.agent.methods.answers import read_answered
from fireact_ray.agent.methods.prompts import PromptBook, system_prompt
from fireact_ray.core import grammar
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Action, Question, Step, Turn

IO_FORMAT = "Reply with exactly one line:\nAnswer: <the answer, as short as possible>"
COT_FORMAT = (
    "Think first, then answer. Reply with exactly two lines:\n"
    "Thought: <your reasoning>\nAnswer: <the answer, as short as possible>"
)


@dataclass(frozen=True)
class Answering:
    """`thinks` tells CoT from IO. The answer becomes `finish[answer]`, so that all methods share one Step."""

    name: str
    book: PromptBook
    thinks: bool
    tools: tuple[str, ...] = ()
    stop: tuple[str, ...] = ("\nQuestion:",)
    _system: str = field(init=False)

    def __post_init__(self) -> None:
        reply_format, show = (COT_FORMAT, "reasoning") if self.thinks else (IO_FORMAT, "answer")
        object.__setattr__(self, "_system", system_prompt(self.book, reply_format, show))

    @property
    def prompt_hash(self) -> str:
        return content_hash(self._system)

    def turns(self, question: Question, steps: Sequence[Step]) -> tuple[Turn, ...]:
        return (Turn("system", self._system), Turn("user", question.text))

    def parse(self, text: str) -> grammar.Parsed:
        found = read_answered(text)
        action = Action("finish", found.answer) if found.answer else None
        return grammar.Parsed(found.thought if self.thinks else "", action, found.repairs)
