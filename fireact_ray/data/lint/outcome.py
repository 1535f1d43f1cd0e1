"""Rules about how a row ends: is its answer true, and where did it come from?"""

from __future__ import annotations

import re

from fireact_ray.core.types import ObservationStatus, StopReason
from fireact_ray.data import leakage
from fireact_ray.data.formats.records import Record
from fireact_ray.data.lint.base import ASK, FINISH, FOUND, SEARCH, Rule, each
from fireact_ray.tasks.scoring import normalise

_FALSE = ("reward = false", "reward = 0")
_NO_ANSWER = re.compile(
    r"(?:i am |i'm |i was )?unable to\b|(?:the |this )?(?:information|answer|task) (?:is|was|could|can) ?not\b|"
    r"(?:information )?not (?:found|available|specified|known|enough)\b|(?:the )?answer is (?:unknown|not)\b|"
    r"i (?:don't|do not|cannot|can't|could not|couldn't)\b|no (?:answer|information)\b|(?:unknown|unclear|n/a|none)$",
    re.IGNORECASE,
)
_VERDICTS = ("yes", "no", "true", "false")


def unreadable(record: Record) -> bool:
    return record.trajectory is None and not _without_finish(record)


def unfinished(record: Record) -> bool:
    trajectory = record.trajectory
    if trajectory is None:
        return _without_finish(record)
    return trajectory.stop_reason is not StopReason.FINISHED or not trajectory.answer


def wrong_answer(record: Record) -> bool:
    """By the score, or, where no trajectory could be read, by the recorded reward."""
    if record.trajectory is None:
        return any(text.lower().endswith(_FALSE) for text in record.observations if leakage.is_reward(text))
    return record.trajectory.score is not None and record.trajectory.score.exact_match < 1.0


def unscored(record: Record) -> bool:
    return record.trajectory is not None and record.trajectory.score is None


def no_search(record: Record) -> bool:
    """Another tool that showed something is no memory."""
    trajectory = record.trajectory
    if trajectory is None or unfinished(record) or trajectory.n_searches > 0:
        return False
    shown = (step.observation for step in trajectory.steps if step.action is not None and step.observation is not None)
    return all(observation.status is ObservationStatus.ERROR for observation in shown)


def answer_unseen(record: Record) -> bool:
    """Verdicts and answers that the question itself offers are concluded, not read."""
    trajectory = record.trajectory
    if trajectory is None or not trajectory.answer or no_search(record):
        return False
    answer = normalise(trajectory.answer)
    seen = [trajectory.question.text, *(s.observation.text for s in trajectory.steps if s.observation)]
    return bool(answer) and answer not in _VERDICTS and not any(_holds(text, answer) for text in seen)


def gave_up(record: Record) -> bool:
    answer = record.trajectory.answer if record.trajectory else None
    return answer is not None and _NO_ANSWER.match(answer.strip(" .")) is not None


def _without_finish(record: Record) -> bool:
    return record.fault.startswith("no_finish:")


def _holds(text: str, answer: str) -> bool:
    return f" {answer} " in f" {normalise(text)} "


RULES = [
    Rule(
        "unreadable",
        "No complete trajectory can be read from the row: broken JSON, turns that do not alternate, a reply without "
        "a usable action, different actions in one reply, a record that goes on after finish.",
        ((ASK, "Thought: Hm.", FOUND, FINISH),),
        each(unreadable),
    ),
    Rule(
        "unfinished",
        "The episode never calls finish: it teaches to go on without an answer.",
        ((ASK, SEARCH, FOUND, "Thought: I give up."),),
        each(unfinished),
    ),
    Rule(
        "wrong_answer",
        "The answer is known to be wrong, by its score or by the recorded reward.",
        ((ASK, SEARCH, FOUND, FINISH, "Observation: Episode finished, reward = False"),),
        each(wrong_answer),
    ),
    Rule(
        "unscored",
        "Nothing says whether the answer is right; only true trajectories should be learnt.",
        ((ASK, SEARCH, FOUND, FINISH),),
        each(unscored),
    ),
    Rule(
        "no_search",
        "Answered from memory. A smaller student does not have the teacher's memory and learns to guess.",
        ((ASK, FINISH),),
        each(no_search),
    ),
    Rule(
        "answer_unseen",
        "Something was searched for, but the answer stands in no observation (nor in the question, and it is no yes "
        "or no): it came from memory, or was computed.",
        ((ASK, SEARCH, "Observation: Lake Tarn is a deep lake.", FINISH),),
        each(answer_unseen),
    ),
    Rule(
        "gave_up",
        "The answer says that there is none. Where it counts as right, the question is one that cannot be answered.",
        ((ASK, SEARCH, FOUND, "Thought: I give up.\nAction: finish[Unable to find the answer]"),),
        each(gave_up),
    ),
]
