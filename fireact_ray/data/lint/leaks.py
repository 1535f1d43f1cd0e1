"""Rules about text that no student should see: the reward, what tells by which method a row was made, the prompt."""

from __future__ import annotations

from collections.abc import Iterator

from fireact_ray.data import leakage
from fireact_ray.data.formats.records import Record
from fireact_ray.data.lint.base import ASK, FINISH, FOUND, RIGHT, SEARCH, Rule, each

_RUN = 10


def leaked_reward(record: Record) -> bool:
    rewarded = any(leakage.is_reward(text) for text in record.observations)
    return rewarded or any(leakage.names_reward(reply) for reply in record.replies)


def leaked_method(record: Record) -> bool:
    return any(leakage.names_method(reply) for reply in record.replies)


def leaked_prompt(record: Record) -> bool:
    """A run of words of a reply's thought that a system text holds, and neither the question nor an observation."""
    prompt = [turn.text for turn in record.turns if turn.role == "system" and turn.text]
    if not prompt or record.trajectory is None:
        return False
    runs = set(_runs(" ".join(prompt)))
    for text in (record.question, *record.observations):
        runs.difference_update(_runs(text))
    return bool(runs) and any(run in runs for step in record.trajectory.steps for run in _runs(step.thought))


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    """Of `_RUN` words each: so many in the same order are no coincidence."""
    words = text.casefold().split()
    return zip(*(words[start:] for start in range(_RUN)), strict=False)


RULES = [
    Rule(
        "leaked_reward",
        "The row says how it was rewarded. Trained on, it teaches to grade oneself; spelt differently for each method, "
        "it also tells the methods apart.",
        ((ASK, SEARCH, FOUND, FINISH, RIGHT),),
        each(leaked_reward),
    ),
    Rule(
        "leaked_method",
        "A reply names its prompting method or the method's limits, which do not exist when the student is served.",
        ((ASK, SEARCH, FOUND, "Thought: I haven't solved the task within 5 steps.\nAction: finish[410 m]"),),
        each(leaked_method),
    ),
    Rule(
        "leaked_prompt",
        "A thought holds words of the row's own prompt that the question lacks: the student is trained to recite a "
        "prompt that it will not have.",
        (
            (
                ASK,
                "Thought: Answer the question in as few words as you can, and search first. I look it up.\n"
                "Action: search[Lake Tarn depth]",
                FOUND,
                FINISH,
            ),
        ),
        each(leaked_prompt),
        system="Answer the question in as few words as you can, and search first.",
    ),
]
