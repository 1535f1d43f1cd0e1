"""Files of recorded trajectories in, Trajectories and typed rejections out; every row is one or the other.

`conversations` says which formats there are and reads a row's turns, `transcript` makes steps of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import dropwhile, pairwise
from pathlib import Path
from typing import Any

from fireact_ray.core import labels
from fireact_ray.core.calls import TOOLS, Names
from fireact_ray.core.errors import DataError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.paths import last_name
from fireact_ray.core.storage.rows import from_row
from fireact_ray.core.types import Question, Score, Step, StopReason, Trajectory
from fireact_ray.data.formats.conversations import is_stored, read_conversation, read_rows
from fireact_ray.data.formats.messages import Conversation, Message
from fireact_ray.data.formats.transcript import Exchange, NoTranscript, read_steps
from fireact_ray.tasks import TASKS
from fireact_ray.tasks.jsonl import JSONL
from fireact_ray.tasks.loading import question_id
from fireact_ray.tasks.naming import task_named, task_shown

MODEL = "imported"  # such files do not say which model wrote them
WITH_STEPS = "a question with steps in it, such as a few-shot prompt, which is kept as the question"
ONLY_ANSWER = "only_answer"
ONLY_HIDDEN = "a reply without a thought but for hidden reasoning, which is never trained (`no_thought`)"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that holds no complete trajectory. `row` counts from 1 (a line number in JSON lines)."""

    row: int
    kind: str  # unparsable, bad_turns, no_question, or a kind of transcript.NoTranscript
    detail: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the rows of one file: rows_in = trajectories + rejections.

    `notes`: of so many trajectories the row holds this, which is not read or is read as something else.
    `n_assumed`: rows whose task neither they nor their file say or show, so that it is that of the recipe.
    """

    rows_in: int
    trajectories: tuple[Trajectory, ...]
    rejections: tuple[Rejection, ...]
    notes: Mapping[str, int] = field(default_factory=dict)
    n_assumed: int = 0

    def __post_init__(self) -> None:
        out = len(self.trajectories) + len(self.rejections)
        if out != self.rows_in:
            raise DataError(f"Import lost rows: {self.rows_in} read, {out} accounted for.")

    @property
    def rejected(self) -> dict[str, int]:
        """Rejections by kind."""
        return dict(sorted(Counter(rejection.kind for rejection in self.rejections).items()))

    @property
    def said(self) -> list[str]:
        """The notes as sentences."""
        return [f"{n} rows hold {what}" if n > 1 else f"1 row holds {what}" for what, n in sorted(self.notes.items())]


def import_trajectories(path: str | Path, task: str = "hotpotqa", names: Names = TOOLS) -> Imported:
    """Read recorded trajectories as answers to questions of `task`, or of the task that a row says or shows, or the
    file's name says (`tasks/naming.py`). `names`: what the tools are called in them.

    A row's reward becomes its score (1 or 0, for exact match and F1 alike), and a rewarded answer is known to be one of
    the question's. Where a row names accepted answers (`golden_answers` ...), they are the question's, and a row
    without a reward is scored by them; one without either has no score. FireAct's trajs record answers and scores.
    Rows of our own are taken whole, task included. A row has the same key whatever its task is found to be.
    Raises InputError for a file in none of the formats.
    """
    rows = read_rows(str(path))
    trajectories, rejections, notes = list[Trajectory](), [], Counter[str]()
    of_file = task_named(last_name(str(path)))
    n_assumed = 0
    for number, row in rows:
        try:
            if is_stored(row):
                trajectories.append(stored(row))
                continue
            conversation = read_conversation(row)
            trajectory = recorded(task, conversation, names)
        except NoTranscript as found:
            rejections.append(Rejection(number, found.kind, found.detail))
            continue
        told = conversation.task or task_shown(trajectory.question.text, trajectory.answer) or of_file
        n_assumed += not told
        trajectories.append(judged(_of_task(trajectory, told or task)))
        notes.update(conversation.notes)
        notes[WITH_STEPS] += any(label["name"].lower() == "action" for label in labels.labels(trajectory.question.text))
        notes[ONLY_HIDDEN] += any(step.reasoning and not step.thought for step in trajectory.steps)
    return Imported(len(rows), tuple(trajectories), tuple(rejections), +notes, n_assumed)


def stored(row: dict[str, Any]) -> Trajectory:
    """The trajectory of a row of our own. Raises NoTranscript where it lacks something."""
    try:
        trajectory = from_row(row)
    except (KeyError, TypeError, ValueError) as error:
        raise NoTranscript("unparsable", f"no whole trajectory ({type(error).__name__}: {error})") from None
    for name, value in _texts(trajectory):
        if not isinstance(value, str):
            raise NoTranscript("unparsable", f"no whole trajectory ({name} is no text but {value!r:.80})")
    return trajectory


def _texts(trajectory: Trajectory) -> Iterator[tuple[str, object]]:
    """What must be text to be shown, scored or trained on; JSON may hold anything there."""
    question = trajectory.question
    yield from (("trajectory_id", trajectory.trajectory_id), ("method", trajectory.method), ("model", trajectory.model))
    yield from (
        ("task", question.task),
        ("question_id", question.id),
        ("question", question.text),
        ("kind", question.kind),
    )
    yield from (("an answer", answer) for answer in question.answers)
    for step in trajectory.steps:
        yield "a thought", step.thought
        if step.action is not None:
            yield from (("a tool", step.action.tool), ("an argument", step.action.argument))
        if step.observation is not None:
            yield "an observation", step.observation.text


def read_trajectory(task: str, turns: Sequence[Message], names: Names = TOOLS) -> Trajectory:
    """The trajectory of a row's turns. Raises NoTranscript where it holds no complete one."""
    question, record = _exchanges(turns)
    return _trajectory(task, question, *read_steps(record, names))


def recorded(task: str, conversation: Conversation, names: Names = TOOLS) -> Trajectory:
    """The same of a whole row, with the answers and the score that it records. Raises NoTranscript."""
    if conversation.is_result:
        raise NoTranscript(ONLY_ANSWER, "a result: what was asked and answered, without the steps between")
    trajectory = read_trajectory(task, conversation.turns, names)
    question = trajectory.question
    return replace(
        trajectory,
        question=replace(question, answers=conversation.golds or question.answers),
        score=conversation.recorded or trajectory.score,
    )


def judged(trajectory: Trajectory, task: str = "") -> Trajectory:
    """With its score, where none is recorded and accepted answers are known: by the rules of its own task, or else of
    `task`, or as a free text."""
    if trajectory.score is not None or not trajectory.question.answers:
        return trajectory
    rules = TASKS.get(trajectory.question.task or task, JSONL)
    return replace(trajectory, score=rules.score(trajectory.question, trajectory.answer))


def _of_task(trajectory: Trajectory, task: str) -> Trajectory:
    return replace(trajectory, question=replace(trajectory.question, task=task))


def _exchanges(turns: Sequence[Message]) -> tuple[str, list[Exchange]]:
    turns = tuple(dropwhile(lambda turn: turn.role == "system", turns))
    if not turns or turns[0].role != "user":
        raise NoTranscript("no_question", "the first message is not the user's")
    replies, observations = turns[1::2], turns[2::2]
    replied = all(turn.role == "assistant" for turn in replies)
    observed = all(turn.role == "observation" for turn in observations)
    for number, turn in enumerate((turn for turn in turns if turn.role == "assistant"), start=1):
        if len(set(turn.actions)) > 1:
            called = ", ".join(f"{action.tool}[{action.argument}]" for action in turn.actions)
            raise NoTranscript("several_calls", f"reply {number} calls several tools at once: {called[:200]}")
    if not (replied and observed):
        for number, (before, turn) in enumerate(pairwise(turns), start=2):
            if before.role == turn.role:
                raise NoTranscript("same_role_twice", f"turns {number - 1} and {number} are both of role {turn.role}")
        raise NoTranscript("bad_turns", "replies and observations do not alternate")
    shown: list[str | None] = [turn.text for turn in observations]
    shown += [None] * (len(replies) - len(shown))
    return turns[0].text, [_exchange(turn, text) for turn, text in zip(replies, shown, strict=True)]


def _exchange(turn: Message, shown: str | None) -> Exchange:
    call = (turn.text, turn.actions[0]) if turn.actions else None
    return Exchange(turn.written, shown, call, turn.reasoning)


def _trajectory(task: str, text: str, steps: tuple[Step, ...], reward: bool | None) -> Trajectory:
    if not text:
        raise NoTranscript("no_question", "the question is empty")
    method = _method(steps)
    row_id = question_id(task, text)
    recorded = [[step.completion, step.observation.text if step.observation else None] for step in steps]
    if any("tool_name" in step.repairs for step in steps):  # another row than the same one read without these names
        recorded.append([step.action.tool if step.action else None for step in steps])
    last = steps[-1].action
    answers = (last.argument,) if reward and last else ()
    return Trajectory(
        trajectory_id=content_hash({"question": row_id, "method": method, "model": MODEL, "steps": recorded}),
        question=Question(task, row_id, text, answers),
        method=method,
        model=MODEL,
        attempt=0,
        steps=steps,
        stop_reason=StopReason.FINISHED,
        score=None if reward is None else Score(float(reward), float(reward)),
    )


def _method(steps: tuple[Step, ...]) -> str:
    """Which prompting method wrote these steps: CoT uses no tool, Reflexion announces its reflection."""
    if all(step.action is None or step.action.tool == "finish" for step in steps):
        return "cot"
    return "reflexion" if any("do a reflection" in step.thought for step in steps) else "react"
