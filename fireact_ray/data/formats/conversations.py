"""A file of recorded conversations in, its rows' turns out as they are written: nothing is repaired, nothing left out.

The format of each row is told by its keys:

    {"instruction": "Who ...?", "input": "", "output": "Thought: ...\\nAction: ...\\nObservation: ..."}     Alpaca
    {"messages": [{"role": "user", "content": "Who ...?"},
                  {"role": "assistant", "content": "Thought: ...\\nAction: search[...]"},
                  {"role": "user", "content": "Observation: ..."}]}                                     OpenAI chat
    {"messages": [..., {"role": "assistant", "content": "I look it up.",
                        "tool_calls": [{"function": {"name": "search", "arguments": "{\\"query\\": ...}"}}]},
                  {"role": "tool", "content": "..."}]}                                                with tools
    {"conversations": [{"from": "human", "value": "Who ...?"}, {"from": "gpt", "value": "Thought: ..."}]}  ShareGPT
    {"trajectory_id": "...", "steps": [...], ...}                                      our own: `rows` reads it whole

Where a row has tools, a reply without a call is the answer. If its last line is `Answer: ...`, what stands before it is
a thought: a final message cannot tell the two apart otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fireact_ray.core import dialect
from fireact_ray.core.errors import InputError
from fireact_ray.core.grammar import ACTION, OBSERVATION, THOUGHT
from fireact_ray.data.formats.files import NOT_JSON, numbered_rows
from fireact_ray.data.formats.transcript import NoTranscript, exchanges
from fireact_ray.tasks.loading import quoted

_CALL = re.compile(r"(.*?)<tool_call>(.*)</tool_call>\s*", re.DOTALL)
_ANSWER = re.compile(r"(?:(.*)\n)?Answer:[ \t]*([^\n]+)", re.DOTALL)

Role = Literal["system", "user", "assistant", "observation"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a record. An observation comes without its label; a call of a tool reads `Action: tool[argument]`."""

    role: Role
    text: str


def read_rows(path: str) -> list[tuple[int, Any]]:
    """Numbered rows; NOT_JSON for a line that is no JSON. A number counts from 1, and is a line's in JSON lines.

    Raises InputError for a file that cannot be read, or whose first row is in none of the formats.
    """
    rows = numbered_rows(path)
    _check_format(path, rows)
    return rows


def is_stored(row: Any) -> bool:
    """A row of our own, which holds a whole Trajectory."""
    return isinstance(row, dict) and "trajectory_id" in row and "steps" in row


def read_turns(row: Any) -> tuple[Message, ...]:
    """A row's turns. Raises NoTranscript of kind `unparsable` for a row in none of the formats."""
    read = _format(row)
    if read is None:
        raise NoTranscript("unparsable", "expected 'messages', 'conversations', or 'instruction' and 'output'")
    return tuple(_shown(read(row)))


def _shown(turns: Sequence[Message]) -> Iterator[Message]:
    """The turns, where what a user says to a reply under an observation's label in another form is an observation."""
    before = None
    for turn in turns:
        label = dialect.observation_label(turn.text) if (turn.role, before) == ("user", "assistant") else None
        before = turn.role
        yield turn if label is None else Message("observation", turn.text[label.end() :].strip())


def _check_format(path: str, rows: Sequence[tuple[int, Any]]) -> None:
    """Raises InputError where the first row is in none of the formats: then no row will be."""
    first = rows[0][1] if rows else None
    if not is_stored(first) and _format(first) is None:
        found = "no row" if first is None else "no JSON" if first is NOT_JSON else quoted(first)
        raise InputError(
            f"{path}: expected rows with 'messages' (OpenAI chat), 'conversations' (ShareGPT), 'instruction' and "
            f"'output' (Alpaca) or 'trajectory_id' and 'steps' (our own), found {found} in the first one. "
            "Convert the file, or give another."
        )


def _format(row: Any) -> Callable[[Any], list[Message]] | None:
    if not isinstance(row, dict):
        return None
    if "messages" in row:
        return _read_chat
    if "conversations" in row:
        return _read_sharegpt
    return _read_alpaca if "instruction" in row and "output" in row else None


def _read_alpaca(row: dict[str, Any]) -> list[Message]:
    if not isinstance(row["output"], str):
        raise NoTranscript("unparsable", "'output' is no text")
    parts = [row["instruction"], row.get("input")]
    question = "\n".join(part.strip() for part in parts if isinstance(part, str)).strip()
    turns = [Message("user", question)]
    for exchange in exchanges(row["output"]):
        turns.append(Message("assistant", exchange.reply))
        if exchange.observation is not None:
            turns.append(Message("observation", exchange.observation))
    return turns


def _read_chat(row: dict[str, Any]) -> list[Message]:
    messages = row["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise NoTranscript("unparsable", "'messages' is no list of objects")
    has_tools = bool(row.get("tools")) or any(message.get("tool_calls") for message in messages)
    return [_message(message, has_tools) for message in messages]


def _message(message: dict[str, Any], has_tools: bool) -> Message:
    role, text, calls = message.get("role"), message.get("content"), message.get("tool_calls") or []
    if text is None and calls:
        text = ""
    if not isinstance(text, str) or not isinstance(calls, list):
        raise NoTranscript("unparsable", f"a message of role {role!r} has no text in 'content'")
    if role != "assistant":
        return _said(role, text)
    actions = [_call(call.get("function") if isinstance(call, dict) else None) for call in calls]
    if has_tools and not calls:
        return Message("assistant", _final(text))
    return Message("assistant", "\n".join([text.strip(), *actions]).strip())


def _final(text: str) -> str:
    """A reply without a call, as the grammar writes it."""
    if ACTION in text:
        return text.strip()
    match = _ANSWER.fullmatch(text.strip())
    if match is None:
        return f"{ACTION} finish[{text.strip()}]"
    thought, answer = match.groups()
    return f"{THOUGHT} {thought}\n{ACTION} finish[{answer}]" if thought else f"{ACTION} finish[{answer}]"


def _call(function: Any) -> str:
    """A call of a tool as the grammar writes it. Its argument is the call's only value, or all of them as JSON."""
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise NoTranscript("unparsable", "a call of a tool has no name")
    values = function.get("arguments", "")
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except json.JSONDecodeError:
            return f"{ACTION} {name}[{values}]"
    if isinstance(values, dict) and len(values) == 1:
        (values,) = values.values()
    argument = values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)
    return f"{ACTION} {name}[{argument}]"


def _read_sharegpt(row: dict[str, Any]) -> list[Message]:
    turns = row["conversations"]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise NoTranscript("unparsable", "'conversations' is no list of objects")
    system = row.get("system")
    head = [Message("system", system)] if isinstance(system, str) and system else []
    has_tools = bool(row.get("tools")) or any(turn.get("from") == "function_call" for turn in turns)
    return head + [_spoken(turn.get("from"), turn.get("value"), has_tools) for turn in turns]


def _spoken(speaker: Any, text: Any, has_tools: bool) -> Message:
    if not isinstance(text, str):
        raise NoTranscript("unparsable", f"a turn from {speaker!r} has no text in 'value'")
    if speaker == "function_call":
        return Message("assistant", _function_call(text))
    said = _said(speaker, text)
    return Message("assistant", _final(text)) if has_tools and said.role == "assistant" else said


def _function_call(text: str) -> str:
    """JSON alone, or between <tool_call> tags after a thought."""
    match = _CALL.fullmatch(text)
    thought, call = match.groups() if match else ("", text)
    try:
        return f"{thought.strip()}\n{_call(json.loads(call))}".strip()
    except json.JSONDecodeError:
        raise NoTranscript("unparsable", "a turn from 'function_call' is no JSON") from None


_SPEAKERS: dict[Any, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "tool": "observation",
    "function": "observation",
    "observation": "observation",
}


def _said(speaker: Any, text: str) -> Message:
    role = _SPEAKERS.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        raise NoTranscript("unparsable", f"unknown role {speaker!r}; known: {', '.join(_SPEAKERS)}")
    if role == "user" and text.lstrip().startswith(OBSERVATION):
        role = "observation"
    label = OBSERVATION if role == "observation" else ""
    return Message(role, text.strip().removeprefix(label).strip())
