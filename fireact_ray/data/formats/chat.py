"""Messages of OpenAI's chat format or turns of ShareGPT in, a Conversation out.

Where a row has tools, a reply without a call is the answer. A call stands in `tool_calls`, in the older
`function_call`, in a ShareGPT turn of that name, or in the text itself. Content may be a list of parts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fireact_ray.core.content import Content, read_content
from fireact_ray.core.grammar import OBSERVATION, THOUGHT, canonical_argument
from fireact_ray.core.labels import observation_label
from fireact_ray.core.reasoning import split_reasoning
from fireact_ray.core.turn_marks import own_turn
from fireact_ray.core.types import Action
from fireact_ray.data.formats import calls, final
from fireact_ray.data.formats.fields import LABELS, ROLE, TEXT, is_untrained, unread, unread_in
from fireact_ray.data.formats.messages import Conversation, Message, Role
from fireact_ray.data.formats.transcript import NoTranscript

SYSTEM = "a system text, which is not read"
HIDDEN = "hidden reasoning, which is kept apart and never trained"
_ROW = {"messages", "conversations", "tools", "functions", "system", *LABELS}
_CALL = ("function_call", "tool_call")
_ROLES: dict[Any, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "observation",
    "function": "observation",
    "observation": "observation",
    "ipython": "observation",
    "function_response": "observation",
    "tool_response": "observation",
}
_RESPONSE, _RESPONSE_END = "<tool_response>", "</tool_response>"
_NO_TOOLS = ("", "[]", "{}", "null")


def read_chat(row: dict[str, Any], key: str) -> Conversation:
    """Raises NoTranscript for turns that cannot be read, or are marked as not to be learnt."""
    said = row[key]
    if not isinstance(said, list) or not all(isinstance(message, dict) for message in said):
        raise NoTranscript("unparsable", f"'{key}' is no list of objects")
    turns, notes = list[Message](), set(unread(row, _ROW))
    if isinstance(row.get("system"), str) and row["system"]:
        turns.append(Message("system", row["system"]))
    asked = in_text = False
    for number, message in enumerate(said, start=1):
        turn = _turn(number, message, asked)
        if turn.role == "assistant" and not turn.actions and (found := _calls_in(turn.text)) is not None:
            turn = replace(turn, text=found[0], actions=found[1])
            in_text = True
        asked = asked or turn.role == "user"
        notes.update(unread_in(message))
        turns.append(turn)
    if any(turn.role == "system" for turn in turns):
        notes.add(SYSTEM)
    if any(turn.reasoning for turn in turns):
        notes.add(HIDDEN)
    if in_text:
        turns = [_unwrapped(turn) if turn.role == "observation" else turn for turn in turns]
    if _has_tools(row) or any(turn.actions for turn in turns):
        turns = [_final(turn) if turn.role == "assistant" and not turn.actions else turn for turn in turns]
    return Conversation(tuple(turns), tuple(sorted(notes)))


def _turn(number: int, message: dict[str, Any], asked: bool) -> Message:
    """A message as it stands there. `asked`: the question is known, so that `Observation:` begins an observation."""
    speaker, structured = _first(message, ROLE), _structured(message)
    role = _ROLES.get(speaker) if isinstance(speaker, str) else None
    content = _content(number, message, bool(structured), "" if role == "assistant" else "\n")
    text = content.text or ""
    if role is None:
        raise NoTranscript("unparsable", f"unknown role {speaker!r}; known: {', '.join(_ROLES)}")
    if role != "assistant":
        return _shown(role, text.strip(), asked)
    if mark := is_untrained(message):
        raise NoTranscript(
            "untrained_turn", f"message {number} is marked as not to be learnt ({mark}), and rows are trained whole"
        )
    if speaker in _CALL:
        text, structured = calls.function_call(text)
    hidden, rest = split_reasoning(own_turn(text))
    reasoning = "\n\n".join(part for part in (content.reasoning.strip(), hidden) if part)
    return Message("assistant", rest.strip(), structured, reasoning, "" if rest is text else text)


def _shown(role: Role, text: str, asked: bool) -> Message:
    """A user answers a reply with an observation where its label, in any form, begins the text."""
    if role == "observation":
        return Message(role, text.removeprefix(OBSERVATION).strip())
    if role == "user" and asked:
        if text.startswith(_RESPONSE):
            return Message("observation", text)
        if (label := observation_label(text)) is not None:
            return Message("observation", text[label.end() :].strip())
    return Message(role, text)


def _first(message: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((message[key] for key in keys if message.get(key) is not None), None)


def _content(number: int, message: dict[str, Any], is_called: bool, between: str) -> Content:
    """What a message says and what it holds of thinking. A call needs no text beside it."""
    content = read_content({**message, "content": _first(message, TEXT)}, between)
    if content.unread:
        raise NoTranscript("unparsable", f"message {number} holds {content.unread}, which is no text")
    if content.text is None and not is_called:
        raise NoTranscript("unparsable", f"message {number} has no text")
    return content


def _structured(message: dict[str, Any]) -> tuple[Action, ...]:
    """The calls of `tool_calls` or of `function_call`; one whose fields are all null is none."""
    found = message.get("tool_calls") or []
    if not isinstance(found, list):
        raise NoTranscript("unparsable", "'tool_calls' is no list")
    functions = [_function(one) for one in found if one is not None]
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and legacy.get("name") is not None:
        functions.append(legacy)
    return tuple(map(calls.call, functions))


def _function(one: Any) -> Any:
    """Of one of `tool_calls`; inspect_ai writes {"function": "search", "arguments": {...}}."""
    found = one.get("function") if isinstance(one, dict) else None
    return {**one, "name": found} if isinstance(found, str) else found or one


def _calls_in(text: str) -> tuple[str, tuple[Action, ...]] | None:
    """Calls that a reply writes as text, where it is in neither form of our own."""
    if "{" not in text or "name" not in text or final.as_we_write(text) or final.is_in_grammar(text):
        return None
    return calls.written_calls(text)


def _final(turn: Message) -> Message:
    """A reply without a call in a row with tools: in the grammar, or the answer."""
    found = final.as_we_write(turn.text)
    if found is None:
        if final.is_in_grammar(turn.text):
            return turn
        calls.check_no_call(turn.text)
        found = final.thought_and_answer(turn.text)
    thought, answer = found
    finish = Action("finish", canonical_argument(answer))
    return replace(turn, text=f"{THOUGHT} {thought}" if thought else "", actions=(finish,))


def _unwrapped(turn: Message) -> Message:
    text = turn.text
    if text.startswith(_RESPONSE) and text.endswith(_RESPONSE_END):
        return replace(turn, text=text[len(_RESPONSE) : -len(_RESPONSE_END)].strip())
    return turn


def _has_tools(row: dict[str, Any]) -> bool:
    return any(row.get(key) and str(row[key]).strip() not in _NO_TOOLS for key in ("tools", "functions"))
