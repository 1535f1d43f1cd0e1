"""A served agent's way: the question goes out as it is, and what comes back is an answer, with its steps where it tells
them as `fireact serve` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.agent.methods.answers import read_answered
from fireact_ray.core import dialect, grammar, observations
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Action, Question, Step, Turn

ENDPOINT = "endpoint"


@dataclass(frozen=True)
class Served:
    """A method of one turn: the reply's answer in a known form, else the whole reply, becomes `finish[answer]`."""

    name: str = ENDPOINT
    tools: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()

    @property
    def prompt_hash(self) -> str:
        return content_hash("")

    def turns(self, question: Question, steps: Sequence[Step]) -> tuple[Turn, ...]:
        return (Turn("user", question.text),)

    def parse(self, text: str) -> grammar.Parsed:
        found = read_answered(text)
        answer = found.answer or grammar.canonical_argument(text)
        return grammar.Parsed(found.thought if found.answer else "", Action("finish", answer) if answer else None)


def told_steps(text: str, answer: str) -> tuple[Step, ...]:
    """The steps of a reply's `reasoning_content` in the grammar. None of them where a line belongs to no step, or where
    they do not end as the reply does, with `answer` or (empty) without one."""
    steps: list[Step] = []
    said: list[str] = []
    for line in text.split("\n"):
        if line.startswith(f"{grammar.OBSERVATION} ") and said:
            steps.append(_step(said, line.removeprefix(f"{grammar.OBSERVATION} ")))
            said = []
        elif line.startswith((f"{grammar.THOUGHT} ", f"{grammar.ACTION} ")):
            said.append(line)
        elif line:
            return ()
    if said:
        steps.append(_step(said, None))
    last = steps[-1].action if steps else None
    finished = last.argument if last is not None and last.tool == "finish" else ""
    return tuple(steps) if finished == answer else ()


def _step(said: list[str], observed: str | None) -> Step:
    reply = "\n".join(said)
    parsed = dialect.read(reply)
    observation = None if observed is None else observations.recorded(observed)
    return Step(parsed.thought, parsed.action, observation, reply, repairs=parsed.repairs)
