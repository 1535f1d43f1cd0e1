"""A file of recorded conversations in, its rows' turns out as they are written: nothing is repaired, nothing left out.

JSON list or JSON lines; the format of each row is told by its keys:

    {"instruction": "Who ...?", "input": "", "output": "Thought: ...\\nAction: ...\\nObservation: ..."}     Alpaca
    {"messages": [{"role": "user", "content": "Who ...?"},
                  {"role": "assistant", "content": "Thought: ...\\nAction: search[...]"},
                  {"role": "user", "content": "Observation: ..."}]}                                     OpenAI chat
    {"messages": [..., {"role": "assistant", "content": "I look it up.",
                        "tool_calls": [{"function": {"name": "search", "arguments": "{\\"query\\": ...}"}}]},
                  {"role": "tool", "content": "..."}]}                                                with tools
    {"conversations": [{"from": "human", "value": "Who ...?"}, {"from": "gpt", "value": "Thought: ..."}]}  ShareGPT
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fireact_ray.curation.transcript import NoTranscript, exchanges
from fireact_ray.errors import InputError
from fireact_ray.methods.grammar import ACTION, OBSERVATION
from fireact_ray.tasks.reading import quoted

NOT_JSON = object()  # stands for a line that is none

Role = Literal["system", "user", "assistant", "observation"]


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of a record. An observation comes without its label; a call of a tool reads `Action: tool[argument]`."""

    role: Role
    text: str


def read_rows(file: Path) -> list[tuple[int, Any]]:
    """Numbered rows; NOT_JSON for a line that is no JSON. A number counts from 1, and is a line's in JSON lines.

    Raises InputError for a file that cannot be read, or whose first row is in none of the formats.
    """
    rows = json_rows(file)
    check_format(str(file), rows)
    return rows


def check_format(path: str, rows: Sequence[tuple[int, Any]]) -> None:
    """Raises InputError where the first row is in none of the formats: then no row will be."""
    first = rows[0][1] if rows else None
    if _format(first) is None:
        found = "no row" if first is None else "no JSON" if first is NOT_JSON else quoted(first)
        raise InputError(
            f"{path}: expected rows with 'messages' (OpenAI chat), 'conversations' (ShareGPT) or 'instruction' "
            f"and 'output' (Alpaca), found {found} in the first one. Convert the file, or give another."
        )


def json_rows(file: Path) -> list[tuple[int, Any]]:
    """Numbered rows of a JSON list or of JSON lines, of any content."""
    return list(_rows(file, _text(file)))


def read_turns(row: Any) -> tuple[Said, ...]:
    """A row's turns. Raises NoTranscript of kind `unparsable` for a row in none of the formats."""
    read = _format(row)
    if read is None:
        raise NoTranscript("unparsable", "expected 'messages', 'conversations', or 'instruction' and 'output'")
    return tuple(read(row))


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}). Give a JSON or JSON lines file.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 text (byte {error.start}).") from None


def _rows(file: Path, text: str) -> Iterator[tuple[int, Any]]:
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), start=1)
        except json.JSONDecodeError as error:
            raise InputError(f"{file} is not JSON: {error.msg} in line {error.lineno}.") from None
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError:
                yield number, NOT_JSON


def _format(row: Any) -> Callable[[Any], list[Said]] | None:
    if not isinstance(row, dict):
        return None
    if "messages" in row:
        return _read_chat
    if "conversations" in row:
        return _read_sharegpt
    return _read_alpaca if "instruction" in row and "output" in row else None


def _read_alpaca(row: dict[str, Any]) -> list[Said]:
    if not isinstance(row["output"], str):
        raise NoTranscript("unparsable", "'output' is no text")
    parts = [row["instruction"], row.get("input")]
    question = "\n".join(part.strip() for part in parts if isinstance(part, str)).strip()
    turns = [Said("user", question)]
    for exchange in exchanges(row["output"]):
        turns.append(Said("assistant", exchange.reply))
        if exchange.observation is not None:
            turns.append(Said("observation", exchange.observation))
    return turns


def _read_chat(row: dict[str, Any]) -> list[Said]:
    messages = row["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise NoTranscript("unparsable", "'messages' is no list of objects")
    has_calls = any(message.get("tool_calls") for message in messages)
    return [_message(message, has_calls) for message in messages]


def _message(message: dict[str, Any], has_calls: bool) -> Said:
    role, text, calls = message.get("role"), message.get("content"), message.get("tool_calls") or []
    if text is None and calls:
        text = ""
    if not isinstance(text, str) or not isinstance(calls, list):
        raise NoTranscript("unparsable", f"a message of role {role!r} has no text in 'content'")
    if role != "assistant":
        return _said(role, text)
    actions = [_call(call.get("function") if isinstance(call, dict) else None) for call in calls]
    if has_calls and not calls and ACTION not in text:
        return Said("assistant", f"{ACTION} finish[{text.strip()}]")  # with tools, a plain reply is the answer
    return Said("assistant", "\n".join([text.strip(), *actions]).strip())


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


def _read_sharegpt(row: dict[str, Any]) -> list[Said]:
    turns = row["conversations"]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise NoTranscript("unparsable", "'conversations' is no list of objects")
    system = row.get("system")
    head = [Said("system", system)] if isinstance(system, str) and system else []
    return head + [_spoken(turn.get("from"), turn.get("value")) for turn in turns]


def _spoken(speaker: Any, text: Any) -> Said:
    if not isinstance(text, str):
        raise NoTranscript("unparsable", f"a turn from {speaker!r} has no text in 'value'")
    if speaker != "function_call":
        return _said(speaker, text)
    try:
        return Said("assistant", _call(json.loads(text)))
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


def _said(speaker: Any, text: str) -> Said:
    role = _SPEAKERS.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        raise NoTranscript("unparsable", f"unknown role {speaker!r}; known: {', '.join(_SPEAKERS)}")
    if role == "user" and text.lstrip().startswith(OBSERVATION):
        role = "observation"
    label = OBSERVATION if role == "observation" else ""
    return Said(role, text.strip().removeprefix(label).strip())
