"""Rules about single turns: what the assistant wrote, and what it was shown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fireact_ray.core import dialect, grammar, observations
from fireact_ray.core.tool_specs import ARGUMENTS
from fireact_ray.core.types import ObservationStatus
from fireact_ray.data.formats.records import Record
from fireact_ray.data.lint.base import ASK, FINISH, FOUND, SEARCH, Rule, each
from fireact_ray.data.traces import holds_hidden_reasoning, plain_thought
from fireact_ray.tasks.scoring import normalise

_ACTION = re.compile(rf"\bAction:[ \t]*{grammar.TOOL}[ \t]*\[")
_LISTED = re.compile(r"^Action:.*\][,;]?[ \t]+(?:and )?(?:search|finish)\[", re.MULTILINE)
_INVENTED = re.compile(r"^Observation:", re.MULTILINE)
_QUERY = re.compile(rf"\bAction:[ \t]*(?!finish\b){grammar.TOOL}\[(.*)\]", re.IGNORECASE)
_NOTHING = {"", "none", "null", "nan", "n/a", "[]", "{}"}
_ERROR = re.compile(
    r"\w*(?:error|exception)\s*[:(]|traceback \(most recent call|HTTP (?:error )?[45]\d\d\b|"
    r"404 not found|429 too many|500 internal|502 bad gateway|503 service|504 gateway|"
    r"rate limit exceeded|invalid action\b|(?:the )?(?:search|request) (?:failed|timed out)\b",
    re.IGNORECASE,
)


def no_action(record: Record) -> bool:
    return record.trajectory is not None and any(step.action is None for step in record.trajectory.steps)


def no_thought(record: Record) -> bool:
    """What a method made its agent say is no thought."""
    if record.trajectory is None:
        return False
    return any(not plain_thought(step.thought) for step in record.trajectory.steps)


def two_actions(record: Record) -> bool:
    """Two `Action:` parts, even equal ones, two calls in one message, or a list of actions in one line."""
    own = (grammar.cut_at_observation(reply) for reply in _written(record))
    return any(len(_ACTION.findall(reply)) > 1 or _LISTED.search(reply) for reply in own)


def invented_observation(record: Record) -> bool:
    return any(_INVENTED.search(reply) for reply in _written(record))


def hidden_reasoning(record: Record) -> bool:
    return any(holds_hidden_reasoning(reply) for reply in record.replies)


def repeated_query(record: Record) -> bool:
    queries = [normalise(match) for reply in _written(record) for match in _first_query(reply)]
    return len(set(queries)) < len(queries)


def unknown_tool(record: Record) -> bool:
    """Also one that our search is called by: `search.aliases` says so when a row is read."""
    steps = record.trajectory.steps if record.trajectory else ()
    return any(step.action is not None and step.action.tool not in ARGUMENTS for step in steps)


def empty_observation(record: Record) -> bool:
    """Not what our search says when it finds nothing, which is a sentence that a student can learn from."""
    return any(text.strip().lower() in _NOTHING for text in record.observations)


def error_observation(record: Record) -> bool:
    """By the status of a stored observation, by the catalogue of fixed lines, or by how errors are commonly put."""
    steps = record.trajectory.steps if record.trajectory else ()
    if any(step.observation is not None and step.observation.status is ObservationStatus.ERROR for step in steps):
        return True
    texts = record.observations
    return any(_ERROR.match(text) or observations.recorded(text).status is ObservationStatus.ERROR for text in texts)


def _written(record: Record) -> Iterator[str]:
    """The replies, labels and actions in the grammar's form."""
    return map(dialect.written, record.replies)


def _first_query(reply: str) -> list[str]:
    return _QUERY.findall(grammar.cut_at_observation(reply))[:1]


RULES = [
    Rule(
        "no_action",
        "A reply holds no usable action: it was refused, and would be refused when served.",
        ((ASK, "Thought: Hm.", f"Observation: {observations.INVALID_ACTION}", FINISH),),
        each(no_action),
    ),
    Rule(
        "unknown_tool",
        "A tool that the student will not have: it learns to call what nobody answers. Another name of the search is "
        "told by a line of the recipe, `search.aliases`.",
        ((ASK, "Thought: I reckon.\nAction: calculate[41 * 10]", "Observation: 410", FINISH),),
        each(unknown_tool),
    ),
    Rule(
        "no_thought",
        "An action without a reason before it; a student learns to act without one. What a method makes its agent say "
        "counts for none.",
        ((ASK, "Action: search[Lake Tarn depth]", FOUND, FINISH),),
        each(no_thought),
    ),
    Rule(
        "two_actions",
        "Several actions in one turn: only the first can be answered, the others are text that a student learns to "
        "write.",
        ((ASK, "Thought: Both.\nAction: search[Lake Tarn], search[Lake Ulm]", FOUND, FINISH),),
        each(two_actions),
    ),
    Rule(
        "invented_observation",
        "The assistant's own turn goes on with an observation: the student learns to invent what a tool would show.",
        ((ASK, f"{SEARCH}\nObservation: It is 12 m deep.", FOUND, FINISH),),
        each(invented_observation),
    ),
    Rule(
        "hidden_reasoning",
        "A reply still holds what its model thought before it spoke, between marks such as <think>: trained on, it is "
        "said aloud and prompted again, and an action in it was only a thought.",
        ((ASK, f"<think>Maybe 12 m?</think>\n{SEARCH}", FOUND, FINISH),),
        each(hidden_reasoning),
    ),
    Rule(
        "repeated_query",
        "The same search twice: the second can show nothing new, and is paid for at every use.",
        ((ASK, SEARCH, "Observation: A lake.", SEARCH, FOUND, FINISH),),
        each(repeated_query),
    ),
    Rule(
        "empty_observation",
        'A bare "None" or nothing at all: a leftover of the recorder, where a tool should say that it found nothing.',
        ((ASK, SEARCH, "Observation: None", FINISH),),
        each(empty_observation),
    ),
    Rule(
        "error_observation",
        "A tool failed or an action was refused: the student learns the error's text, or to make the mistake.",
        ((ASK, SEARCH, "Observation: HTTP 503 Service Unavailable", FINISH),),
        each(error_observation),
    ),
]
