"""The nouns of the project, in the order in which data passes through them.

Question -> Step* -> Trajectory -> Turn* (an Example) -> rows.EXAMPLE_SCHEMA; Score is of a Trajectory.
All are frozen; `to_dict`/`from_dict` round-trip through plain JSON types and carry a schema version where stored.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

SCHEMA_VERSION = 1
STEPS_UNTOLD = "steps_untold"  # a repair of the one step that stands for all that a served agent did not tell

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Question:
    """One row of a task. `answers` holds every accepted spelling, the canonical one first; never shown to a model."""

    task: str
    id: str
    text: str
    answers: tuple[str, ...]
    kind: str = ""  # the task's own category ("2hop", "comparison", an MMLU subject); empty where it has none

    def to_dict(self) -> dict[str, Any]:
        return {**_shallow_dict(self), "answers": list(self.answers)}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Question:
        return cls(**{**row, "answers": tuple(row["answers"])})


@dataclass(frozen=True, slots=True)
class Action:
    """A tool name (`search`, `finish`) and its one-line argument."""

    tool: str
    argument: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model's server counted them. `cached_tokens`: those of the prompt that it read from its cache; None
    where it does not say, and a sum is of what is said."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        said = [usage.cached_tokens for usage in (self, other) if usage.cached_tokens is not None]
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            sum(said) if said else None,
        )

    def to_dict(self) -> dict[str, int]:
        """Without `cached_tokens` where they are not known."""
        return {name: n for name, n in _shallow_dict(self).items() if n is not None}


class ObservationStatus(StrEnum):
    OK = "ok"  # the tool's own text
    EMPTY = "empty"  # the tool found nothing; the text comes from the catalogue
    ERROR = "error"  # the tool failed or the action was unusable; the text comes from the catalogue


@dataclass(frozen=True, slots=True)
class Observation:
    """What a tool showed the model: one neutralised line of bounded length.

    `latency_s`: how long it took when it was paid for; None lets the rollout measure it. It is stored with the Step.
    """

    text: str
    status: ObservationStatus = ObservationStatus.OK
    latency_s: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One reply of the model and what came of it.

    `action` is None where the reply held no usable action; `observation` is None after `finish`.
    `completion` is the reply as received, but for `reasoning`, what the model thought outside of it or hid in it: both
    are kept for inspection, never rendered into a prompt or a training row. `repairs` names the variants of the grammar
    in which the reply was written (see core.dialect), in the order of their names.
    """

    thought: str
    action: Action | None
    observation: Observation | None
    completion: str = ""
    usage: Usage = field(default_factory=Usage)
    model_latency_s: float = 0.0
    tool_latency_s: float = 0.0
    reasoning: str = ""
    repairs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        action, observation = self.action, self.observation
        return {
            **_shallow_dict(self),
            "action": {"tool": action.tool, "argument": action.argument} if action else None,
            "observation": {"text": observation.text, "status": str(observation.status)} if observation else None,
            "usage": self.usage.to_dict(),
            "repairs": list(self.repairs),
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Step:
        action, observation = row["action"], row["observation"]
        return cls(
            **{
                **row,
                "action": Action(**action) if action else None,
                "observation": Observation(observation["text"], ObservationStatus(observation["status"]))
                if observation
                else None,
                "usage": Usage(**row["usage"]),
                "repairs": tuple(row.get("repairs") or ()),  # rows of earlier versions have none
            }
        )


class Outcome(StrEnum):
    """What a stop reason comes to: the one classification that status, audit and reports share."""

    FINISHED = "finished"  # with an answer, right or wrong
    STOPPED = "stopped"  # by the agent's own doing, within the limits of the recipe: a result of its question
    FAILED = "failed"  # for a reason outside the agent: no result, another run may well finish it


class StopReason(StrEnum):
    FINISHED = "finished"  # the model called finish[...]
    MAX_STEPS = "max_steps"  # still open after the allowed number of steps
    PARSE_ERROR = "parse_error"  # too many replies without a usable action
    MAX_TOKENS = "max_tokens"  # the prompt no longer fits the model's context, or a reply was cut by its limit
    MODEL_ERROR = "model_error"  # the model gave no usable reply within the retries
    TOOL_ERROR = "tool_error"  # a tool failed more often than allowed
    TIMEOUT = "timeout"  # the whole rollout outlasted its time limit
    CRASHED = "crashed"  # its worker process died each time it was run, also when it ran alone
    REJECTED = "rejected"  # an imported row that holds no complete trajectory

    @property
    def outcome(self) -> Outcome:
        if self is StopReason.FINISHED:
            return Outcome.FINISHED
        return Outcome.FAILED if self in _OUTSIDE else Outcome.STOPPED


_OUTSIDE = {StopReason.MODEL_ERROR, StopReason.TOOL_ERROR, StopReason.TIMEOUT, StopReason.CRASHED}
FAILURES = tuple(str(reason) for reason in StopReason if reason.outcome is Outcome.FAILED)
_ERROR_CLASS = re.compile(r"([A-Z]\w*): ")


def error_class(error: str | None) -> str | None:
    """The class at the head of a row's error ("<ErrorClass>: <message>"), by which failed rows are counted; None where
    none is named, as where it ended by its tools' failures, which are observations."""
    named = _ERROR_CLASS.match(error or "")
    return named[1] if named else None


@dataclass(frozen=True, slots=True)
class Score:
    """Of one answer, each in [0, 1]."""

    exact_match: float
    f1: float


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One rollout of an agent on one question. A bad episode is a Trajectory too: see `stop_reason` and `error`.

    `overhead_s`: seconds beside those of its recorded model and tool calls: queues, retries, calls that failed, our own
    work. None where nobody measured it, as in earlier versions, and where calls were answered from a journal.
    """

    trajectory_id: str
    question: Question
    method: str
    model: str
    attempt: int
    steps: tuple[Step, ...]
    stop_reason: StopReason
    score: Score | None = None  # None where the question has no known answer
    error: str | None = None  # "<ErrorClass>: <message>", only for stop reasons that are errors
    cost_usd: float | None = None  # None where the price is unknown, never 0
    overhead_s: float | None = field(default=None, compare=False)
    schema_version: int = SCHEMA_VERSION

    @property
    def answer(self) -> str | None:
        """The argument of `finish`, or None where the rollout did not finish."""
        last = self.steps[-1].action if self.steps else None
        return last.argument if last and last.tool == "finish" else None

    @property
    def usage(self) -> Usage:
        return sum((step.usage for step in self.steps), Usage())

    @property
    def n_searches(self) -> int:
        return sum(step.action is not None and step.action.tool == "search" for step in self.steps)

    @property
    def tells_steps(self) -> bool:
        """False where a served agent did not tell how it came to its answer: steps and searches are then unknown."""
        return not any(STEPS_UNTOLD in step.repairs for step in self.steps)

    @property
    def wall_time_s(self) -> float:
        """Seconds spent in model and tool calls."""
        return sum(step.model_latency_s + step.tool_latency_s for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Without `overhead_s` where it is not known."""
        found = {
            **_shallow_dict(self),
            "question": self.question.to_dict(),
            "steps": [step.to_dict() for step in self.steps],
            "score": dataclasses.asdict(self.score) if self.score else None,
        }
        return {name: value for name, value in found.items() if name != "overhead_s" or value is not None}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Trajectory:
        return cls(
            **{
                **row,
                "question": Question.from_dict(row["question"]),
                "steps": tuple(Step.from_dict(step) for step in row["steps"]),
                "stop_reason": StopReason(row["stop_reason"]),
                "score": Score(**row["score"]) if row["score"] else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation. `trained` marks assistant turns that a student learns from."""

    role: Role
    content: str
    trained: bool = False


def _shallow_dict(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result, best first in a list of them."""

    title: str
    text: str
    score: float = 0.0
