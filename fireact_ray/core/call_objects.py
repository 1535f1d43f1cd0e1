"""An object that says a call of a tool, as models write one in JSON or as Python prints it: name, argument, thought.

    {"action": "search", "action_input": "x"}   {"name": "search", "arguments": {"query": "x"}}

An argument is a text of the object, never put together: several arguments say nothing here, unless one of them is known
to be the query or the answer and the others are numbers or flags.
"""

from __future__ import annotations

import ast
from typing import Any

from fireact_ray.core.json_text import NotJson, parse_head
from fireact_ray.core.tool_specs import ARGUMENTS

FINAL = ("final_answer", "finalanswer")
_MOST_LEVELS = 8  # of objects in one another
_NAME_KEYS = ("action", "tool", "tool_name", "name", "function")
_VALUE_KEYS = ("action_input", "tool_input", "arguments", "parameters", "args", "input", "argument")
_WRAPPERS = ("tool_call", "tool_calls", "function_call", "function", "action")
_ENDING, _ANSWERED = "return_type", "give_answer"
ARGUMENT_KEYS = (*ARGUMENTS.values(), "q", "search_query", "input", "text", "keyword", "keywords", "final_answer")


def folded_name(name: str) -> str:
    """Names that differ by letter case, or by hyphens, spaces and underscores, are the same."""
    return name.strip().casefold().replace("-", "_").replace(" ", "_")


def said_by(value: dict[str, Any], depth: int = 0) -> tuple[str, str, str] | None:
    """Name, argument and thought of an object that says a call."""
    keys = {folded_name(key): item for key, item in value.items()}
    thought = keys.get("thought")
    thought = thought if isinstance(thought, str) else ""
    wrapped = [keys[key] for key in _WRAPPERS if isinstance(keys.get(key), (dict, list))]
    if len(wrapped) == 1 and not any(key in keys for key in _VALUE_KEYS):
        inner = wrapped[0][0] if isinstance(wrapped[0], list) and len(wrapped[0]) == 1 else wrapped[0]
        is_all = isinstance(inner, dict) and len(keys) <= 1 + bool(thought) and depth < _MOST_LEVELS
        said = said_by(inner, depth + 1) if is_all else None
        return None if said is None else (said[0], said[1], said[2] or thought)
    named = [keys[key] for key in _NAME_KEYS if isinstance(keys.get(key), str)]
    given = [keys[key] for key in _VALUE_KEYS if keys.get(key) is not None]
    if len(named) == len(given) == 1 and (argument := argument_of(given[0])) is not None:
        return named[0], argument, thought
    final = [keys[key] for key in FINAL if isinstance(keys.get(key), str)]
    if len(final) == 1 and not named and not given:
        return FINAL[0], final[0], thought
    return None


def argument_of(value: Any, depth: int = 0) -> str | None:
    """The one argument that a call's arguments hold."""
    if depth > _MOST_LEVELS:
        return None
    if isinstance(value, str):
        inner = object_at(value.strip()) if value.lstrip().startswith("{") else None
        return value if inner is None or value.strip()[inner[1] :] else argument_of(inner[0], depth + 1)
    if isinstance(value, list) and len(value) == 1:
        return argument_of(value[0], depth + 1)
    if isinstance(value, dict):
        return argument_of(only_one(value), depth + 1)
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def only_one(arguments: dict[str, Any]) -> Any:
    """The one argument: the only one that is not null, or the query or answer beside numbers and flags; None else."""
    if gives_up(arguments):
        return None
    told = {folded_name(key): item for key, item in arguments.items() if item is not None}
    told.pop(_ENDING, None)
    if len(told) == 1:
        return next(iter(told.values()))
    known = [key for key in ARGUMENT_KEYS if isinstance(told.get(key), str)]
    plain = all(isinstance(item, (int, float)) for key, item in told.items() if key not in known)
    return told[known[0]] if len(known) == 1 and plain else None


def gives_up(arguments: dict[str, Any]) -> bool:
    """ToolBench's Finish says how it ends, beside its answer or in the place of one."""
    return arguments.get(_ENDING, _ANSWERED) not in (_ANSWERED, None)


def object_at(text: str) -> tuple[dict[str, Any], int] | None:
    """A JSON object at the head of `text` and where it ends; the same as Python writes it, if it is all of the text."""
    try:
        found, end = parse_head(text, strict=False)
    except NotJson:
        whole = text.strip().rstrip("`").strip()
        if "'" not in whole or "\\" in whole or not whole.endswith("}"):
            return None
        try:
            found, end = ast.literal_eval(whole), len(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return (found, end) if isinstance(found, dict) and all(isinstance(key, str) for key in found) else None
