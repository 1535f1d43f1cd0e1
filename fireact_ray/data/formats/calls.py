"""Calls of tools, as messages hold them, in; actions out.

    {"name": "search", "arguments": "{\\"query\\": \\"Lake Tarn\\", \\"answer\\": null}"}        OpenAI, tool_calls
    I look.\\n<tool_call>\\n{"name": "search", "arguments": {"query": "Lake Tarn"}}\\n</tool_call>   Hermes, Qwen
    {"name": "search", "parameters": {"query": "Lake Tarn"}}                               bare, Llama

A key with null is absent: tables fill the columns of other calls so. An argument is the call's only value, or its query
or answer beside numbers and flags. Of other calls it is all of them as JSON, a `PackedCall`: our own tools take one
text, so that theirs are refused where the names of the tools are known (`transcript`).
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from fireact_ray.core.call_objects import gives_up, only_one
from fireact_ray.core.grammar import canonical_argument
from fireact_ray.core.json_text import NotJson, parse, parse_head
from fireact_ray.core.types import Action
from fireact_ray.data.formats.messages import PackedCall
from fireact_ray.data.formats.transcript import NoTranscript

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_MARKS = ("[TOOL_CALLS]", "<|python_tag|>")
_OTHERS = re.compile(
    r"<\|?(?:tool_calls?|function_calls?|tool_use|function=|invoke\b)|\[TOOL_CALLS\]|<\|python_tag\|>|<\uff5ctool",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```(?:json|tool_call)?\s*\n(.*)\n```", re.DOTALL)
_ARGUMENTS = ("arguments", "parameters", "input", "args")
_BAD_LITERAL = (ValueError, SyntaxError, RecursionError, MemoryError, TypeError)


def call(function: Any) -> Action:
    """Raises NoTranscript of kind `unparsable` where it is no call."""
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise NoTranscript("unparsable", "a call of a tool has no name")
    values = next((function[key] for key in _ARGUMENTS if function.get(key) is not None), "")
    if isinstance(values, str):
        try:
            values = parse(values)
        except NotJson:
            return Action(name, canonical_argument(values))
    argument, is_one = _argument(_without_nulls(values))
    return (Action if is_one else PackedCall)(name, canonical_argument(argument))


def written_calls(text: str) -> tuple[str, tuple[Action, ...]] | None:
    """The thought and the calls of a reply that writes its calls as text; None for one that does not.

    Raises NoTranscript of kind `unreadable_call` where what is marked as a call is none, or text follows it.
    """
    if OPEN in text:
        return _tagged(text)
    thought, body = "", text.strip()
    for mark in _MARKS:
        if mark in body:
            thought, _, body = (part.strip() for part in body.partition(mark))
            return thought, _calls(_json(body), f"what stands after {mark}")
    if body.startswith("```") and (fenced := _FENCE.fullmatch(body)) is not None:
        body = fenced[1].strip()
    if body[:1] not in ("{", "[") or '"name"' not in body:
        return None
    found = _json(body)
    return (thought, _calls(found, "")) if _is_call(found) else None


def check_no_call(text: str) -> None:
    """Raises NoTranscript for text that is to be an answer and holds the mark of a call in a form that is not read."""
    if ("<" in text or "[" in text) and (mark := _OTHERS.search(text)) is not None:
        raise NoTranscript(
            "unreadable_call", f"a reply holds {mark[0]!r}, the mark of a call, and no call that is read"
        )


def function_call(text: str) -> tuple[str, tuple[Action, ...]]:
    """The thought and the calls of a turn that says that it is a call: JSON alone, or within tags after a thought."""
    lines = text.split("\n")
    if len(lines) == 4 and lines[1] == OPEN and lines[3] == CLOSE and not lines[0].startswith(OPEN):
        return lines[0], _calls(_json(lines[2]), f"what stands in {OPEN}")  # as we write it: any thought comes back
    found = _json(text)
    if found is None and OPEN in text:
        return _tagged(text)
    if found is None:
        raise NoTranscript("unparsable", "a turn from 'function_call' is no JSON")
    return "", _calls(found, "a turn from 'function_call'")


def _tagged(text: str) -> tuple[str, tuple[Action, ...]]:
    """Reads on from tag to tag; what was decoded is not looked at again."""
    start = text.index(OPEN)
    thought, place, actions = text[:start].strip(), start, list[Action]()
    while text.startswith(OPEN, place):
        found, end = _decode(text, _skip_space(text, place + len(OPEN)))
        actions += _calls(found, f"what stands in {OPEN}")
        place = _skip_space(text, end)
        if text.startswith(CLOSE, place):
            place = _skip_space(text, place + len(CLOSE))
    if place < len(text):
        raise NoTranscript("unreadable_call", f"after a call in {OPEN} stands {text[place : place + 80]!r}")
    return thought, tuple(actions)


def _decode(text: str, start: int) -> tuple[Any, int]:
    """JSON, or a dict as Python prints it, and where it ends; None where it is neither."""
    try:
        return parse_head(text, start)
    except NotJson:
        end = text.find(CLOSE, start)
        if not text.startswith("{'", start) or end < 0:
            return None, start
    try:
        return ast.literal_eval(text[start:end].strip()), end
    except _BAD_LITERAL:
        return None, start


def _calls(found: Any, where: str) -> tuple[Action, ...]:
    if not _is_call(found):
        raise NoTranscript("unreadable_call", f"{where} is no call with a name and arguments")
    return tuple(call(one.get("function") or one) for one in (found if isinstance(found, list) else [found]))


def _is_call(found: Any) -> bool:
    if isinstance(found, list):
        return bool(found) and all(map(_is_call, found))
    if not isinstance(found, dict):
        return False
    inner = found.get("function")
    function = inner if isinstance(inner, dict) else found
    return isinstance(function.get("name"), str) and any(key in function for key in _ARGUMENTS)


def _json(text: str) -> Any:
    """None for what is no JSON."""
    try:
        return parse(text)
    except NotJson:
        return None


def _argument(values: Any) -> tuple[str, bool]:
    """The argument, and whether it is one."""
    if isinstance(values, dict) and values:
        if gives_up(values):
            return "", True
        value = only_one(values)
        if value is None:
            return json.dumps(values, ensure_ascii=False), False
        values = value
    if isinstance(values, list) and len(values) == 1:
        (values,) = values
    if isinstance(values, str):
        return values, True
    if values in ({}, [], None):
        return "", True
    return json.dumps(values, ensure_ascii=False), not isinstance(values, dict | list)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
