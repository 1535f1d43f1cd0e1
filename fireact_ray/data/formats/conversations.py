"""A file of recorded conversations in, its rows' turns out as they are written: nothing is repaired, nothing left out
without being noted.

The format of each row is told by its keys; a key with null is absent:

    {"instruction": "Who ...?", "input": "", "output": "Thought: ...\\nAction: ...\\nObservation: ..."}     Alpaca
    {"messages": [{"role": "user", "content": "Who ...?"},
                  {"role": "assistant", "content": "Thought: ...\\nAction: search[...]"},
                  {"role": "user", "content": "Observation: ..."}]}                                     OpenAI chat
    {"messages": [..., {"role": "assistant", "content": "I look it up.",
                        "tool_calls": [{"function": {"name": "search", "arguments": "{\\"query\\": ...}"}}]},
                  {"role": "tool", "content": "..."}]}                                                with tools
    {"conversations": [{"from": "human", "value": "Who ...?"}, {"from": "gpt", "value": "Thought: ..."}]}  ShareGPT
    {"traj": "Below is ...", "gt": "torpedoes", "reward": false, ...}                  FireAct's trajs/*.json
    {"question": "Who ...?", "golden_answers": [...], "output": {"pred": "Ila Dun"}}     results without steps: FlashRAG
    {"trajectory_id": "...", "steps": [...], ...}                                      our own: `rows` reads it whole

`chat` reads a row's messages, `calls` and `final` what an assistant's message says in them. Of every format a row's
accepted answers are read under names that mean nothing else (`gold`, `golden_answers`, `ground_truth` ...).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import NotJson
from fireact_ray.core.reasoning import split_reasoning
from fireact_ray.core.turn_marks import own_turn
from fireact_ray.data.formats import results, trajs
from fireact_ray.data.formats.chat import HIDDEN, read_chat
from fireact_ray.data.formats.choices import are_choices, before_label
from fireact_ray.data.formats.fields import LABELS, check_row, unread
from fireact_ray.data.formats.files import numbered_rows
from fireact_ray.data.formats.messages import Conversation, Message
from fireact_ray.data.formats.transcript import NoTranscript, exchanges
from fireact_ray.tasks.golds import UNMISTAKABLE, Unreadable, accepted
from fireact_ray.tasks.loading import quoted
from fireact_ray.tasks.naming import task_said

CHOICES = "answer choices before the first label of `output`, which are read as the end of its question"
_ALPACA = {"instruction", "input", "output", *LABELS}


def read_rows(path: str) -> list[tuple[int, Any]]:
    """Numbered rows; a NotJson for one that cannot be read. A number counts from 1, and is a line's in JSON lines.

    Raises InputError for a file that cannot be read, or of which no row is in any of the formats.
    """
    rows = numbered_rows(path)
    if not any(is_known(row) for _, row in rows):
        raise no_known_row(path, rows[0][1] if rows else None)
    return rows


def is_known(row: Any) -> bool:
    """Whether it is in one of the formats."""
    return is_stored(row) or _format(row) is not None


def no_known_row(path: str, first: Any) -> InputError:
    """Of a file of which no row is in any of the formats. `first`: its first row, None where it has none."""
    found = "no row" if first is None else f"no JSON: {first}," if isinstance(first, NotJson) else quoted(first)
    return InputError(
        f"{path}: expected rows with 'messages' (OpenAI chat), 'conversations' (ShareGPT), 'instruction' and "
        f"'output' (Alpaca), 'traj' (FireAct's trajs), 'question' and 'pred' (results) or 'trajectory_id' and 'steps' "
        f"(our own), found {found} in the first one. Convert the file, or give another."
    )


def is_stored(row: Any) -> bool:
    """A row of our own, which holds a whole Trajectory."""
    return isinstance(row, dict) and row.get("trajectory_id") is not None and row.get("steps") is not None


def read_conversation(row: Any) -> Conversation:
    """A row's turns, and what is not read of it.

    Raises NoTranscript: `unparsable` for a row in none of the formats, `breaks_off` where the file ends within it,
    `unreadable_gold`, and what `fields`, `chat` and `calls` say.
    """
    if isinstance(row, NotJson):
        raise NoTranscript("breaks_off" if row.is_cut else "unparsable", f"no JSON: {row}")
    if isinstance(row, dict):
        check_row(row)
    read = _format(row)
    if read is None:
        raise NoTranscript("unparsable", "expected 'messages', 'conversations', or 'instruction' and 'output'")
    try:
        return _with_golds(_with_task(read(row), row), row)
    except RecursionError:
        raise NoTranscript("unparsable", "lists or objects are nested too deeply") from None


def _format(row: Any) -> Callable[[Any], Conversation] | None:
    if not isinstance(row, dict):
        return None
    for key in ("messages", "conversations"):
        if row.get(key) is not None:
            return lambda found: read_chat(found, key)
    if row.get("instruction") is not None and row.get("output") is not None:
        return _read_alpaca
    if row.get(trajs.KEY) is not None:
        return lambda found: trajs.read_traj(found, _read_alpaca)
    return results.read_result if results.is_result(row) else None


def _with_task(found: Conversation, row: dict[str, Any]) -> Conversation:
    """With the task that the row says, which is then no key that is not read."""
    said = task_said(row)
    if said is None:
        return found
    task, key = said
    return replace(found, task=task, notes=_without(found.notes, {key: task}))


def _with_golds(found: Conversation, row: dict[str, Any]) -> Conversation:
    """With the accepted answers that the row names beside what was answered."""
    named = {key: row[key] for key in row.keys() & UNMISTAKABLE}
    if found.golds or not named:
        return found
    try:
        golds = accepted(named)
    except Unreadable as error:
        raise NoTranscript("unreadable_gold", str(error)) from None
    return replace(found, golds=golds, notes=_without(found.notes, named))


def _without(notes: tuple[str, ...], read: dict[str, Any]) -> tuple[str, ...]:
    """Without those which say that these fields are not read."""
    said = set(unread(read, ()))
    return tuple(note for note in notes if note not in said)


def _read_alpaca(row: dict[str, Any]) -> Conversation:
    if not isinstance(row["output"], str):
        raise NoTranscript("unparsable", "'output' is no text")
    parts = [row["instruction"], row.get("input")]
    question = "\n".join(part.strip() for part in parts if isinstance(part, str)).strip()
    notes = list(unread(row, _ALPACA))
    turns = [Message("user", question)]
    for exchange in exchanges(row["output"]):
        reasoning, reply = split_reasoning(own_turn(exchange.reply))
        received = "" if reply is exchange.reply else exchange.reply
        if len(turns) == 1:
            choices, reply = _choices(reply)
            if choices:
                turns[0] = Message("user", f"{question}\n{choices}")
                notes.append(CHOICES)
        turns.append(Message("assistant", reply, (), reasoning, received))
        if exchange.observation is not None:
            turns.append(Message("observation", exchange.observation))
    if any(turn.reasoning for turn in turns):
        notes.append(HIDDEN)
    return Conversation(tuple(turns), tuple(notes))


def _choices(reply: str) -> tuple[str, str]:
    """The answer choices before the first reply's first label, and the reply; prose before an action is its thought.

    Raises NoTranscript for other text before `Thought:`: the question's rest, or the model's, nothing tells.
    """
    before, labelled, is_thought = before_label(reply)
    if before and are_choices(before):
        return before, labelled
    if before and is_thought:
        raise NoTranscript("text_before_thought", f"before the first label of 'output' stands {before[:80]!r}")
    return "", reply
