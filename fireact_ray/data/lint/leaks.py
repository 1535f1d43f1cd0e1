"""Rules about text that no student should see: the reward, and what tells by which method a row was made."""

from __future__ import annotations

from fireact_ray.data import leakage
from fireact_ray.data.formats.records import Record
from fireact_ray.data.lint.base import ASK, FINISH, FOUND, RIGHT, SEARCH, Rule, each


def leaked_reward(record: Record) -> bool:
    rewarded = any(leakage.is_reward(text) for text in record.observations)
    return rewarded or any(leakage.names_reward(reply) for reply in record.replies)


def leaked_method(record: Record) -> bool:
    return any(leakage.names_method(reply) for reply in record.replies)


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
]
