"""ReAct and Reflexion: thought, action, observation, in turns.

ReAct (Yao et al., 2022) interleaves thoughts with actions. Reflexion, as FireAct uses it, is the same conversation in
which a reflection is asked for whenever the question is still open after so many steps; it goes on in the same
trajectory, and the request itself is no part of what a student later learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fireact_ray.agent.methods.prompts import PromptBook, system_prompt
from fireact_ray.core import dialect, grammar
from fireact_ray.core.calls import TOOLS, Names
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Question, Step, Turn

REACT_FORMAT = (
    "Work step by step. Each reply is exactly two lines, a thought and one action:\n"
    "Thought: <what you know, what is missing, what you do next>\n"
    "Action: search[<query>] or finish[<the answer, as short as possible>]\n"
    "After a search you are shown one line that begins with Observation: - never write that line yourself."
)
REFLECT = (
    "Reflect: the question is still open after {n} steps. In your next thought, say what went wrong so far and "
    "how you will search differently; then act accordingly."
)


@dataclass(frozen=True)
class Acting:
    """`book` None leaves the system turn out (a fine-tuned student needs none); `reflect_every` 0 is plain ReAct.
    `names`: what a model may call the tools; other names than theirs are part of the hash, as they shape rows."""

    name: str
    book: PromptBook | None
    reflect_every: int = 0
    tools: tuple[str, ...] = ("search",)
    stop: tuple[str, ...] = grammar.STOP
    names: Names = field(default_factory=lambda: TOOLS)
    _system: tuple[Turn, ...] = field(init=False)

    def __post_init__(self) -> None:
        text = system_prompt(self.book, REACT_FORMAT, "transcript") if self.book else ""
        object.__setattr__(self, "_system", (Turn("system", text),) if text else ())

    @property
    def prompt_hash(self) -> str:
        reflect = f"{self.reflect_every} {REFLECT}" if self.reflect_every else ""
        text = "".join(turn.content for turn in self._system) + reflect
        return content_hash(text if self.names == TOOLS else [text, dict(self.names)])

    def turns(self, question: Question, steps: Sequence[Step]) -> tuple[Turn, ...]:
        conversation = list(self._system + grammar.episode(question, steps))
        if self.reflect_every and steps and len(steps) % self.reflect_every == 0:
            request = REFLECT.format(n=len(steps))
            conversation[-1] = Turn("user", f"{conversation[-1].content}\n{request}")
        return tuple(conversation)

    def parse(self, text: str) -> grammar.Parsed:
        return dialect.read(text, self.names)
