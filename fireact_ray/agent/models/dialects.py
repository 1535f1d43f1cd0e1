"""How a model wants to be asked where it differs from the others: presets by name, and what a recipe may add to a call.

A preset (dialects.yaml) is a set of settings of the recipe's `teacher.model`; `with_dialect` fills in those that the
recipe leaves open. Everything after it sees plain settings, so that another table does not change an old run folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import yaml

from fireact_ray.core.secrets import read_api_key, redact
from fireact_ray.core.types import Turn

_FROM_VARIABLE = re.compile(r"(?:([A-Za-z]+) )?env:([A-Za-z_]\w*)")
_SECRET_NAME = re.compile(r"key|token|secret|password|authorization|cookie|credential|signature|^code$", re.IGNORECASE)
_SECRET_FIELD = re.compile(r"'(?:api[_-]?key|password|secret|access[_-]?token)': *'", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HTTP_HEADERS = {"host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding"}
_MERGED = ("extra_body", "extra_headers", "extra_query")

# Of a request's body, with the line of the recipe that sets it.
_CONTROLLED = {
    "model": "teacher.model.name",
    "messages": "the method's prompt",
    "temperature": "teacher.sampling.temperature",
    "max_tokens": "teacher.sampling.max_new_tokens",
    "max_completion_tokens": "teacher.sampling.max_new_tokens",
    "seed": "teacher.sampling.seed",
    "stop": "the method",
    "n": "generate.attempts",
    "stream": "the run, which reads whole replies",
    "stream_options": "the run, which reads whole replies",
    "tools": "the method, which has its tools called in text",
    "tool_choice": "the method, which has its tools called in text",
    "functions": "the method, which has its tools called in text",
    "function_call": "the method, which has its tools called in text",
    "reasoning_effort": "teacher.model.reasoning_effort",
}


@cache
def dialects() -> dict[str, dict[str, Any]]:
    """Every preset by its name."""
    file = resources.files("fireact_ray.agent.models") / "dialects.yaml"
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def with_dialect(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` of a recipe's teacher.model, completed by the preset that they name: what they say themselves wins,
    and of body, headers and query each field on its own. A preset that is not known fills in nothing."""
    filled = dict(settings)
    name = filled.get("dialect")
    preset = dialects().get(name, {}) if isinstance(name, str) else {}
    for field, value in preset.items():
        if field in _MERGED:
            own = filled.get(field)
            filled[field] = {**value, **own} if isinstance(own, dict) else value if own is None else own
        elif field == "api_key_env":  # of which null says that there is no key
            if filled.get("api_key_file") is None:
                filled.setdefault(field, value)
        elif filled.get(field) is None:
            filled[field] = value
    return filled


def check_address(dialect: str | None, base_url: str | None) -> None:
    """Raises ValueError for a preset whose address is everybody's own, where none is named."""
    if dialect is not None and base_url is None and "base_url" in dialects()[dialect]:
        raise ValueError(f"the dialect '{dialect}' has no address of its own: set base_url")


def check_body(body: Mapping[str, Any]) -> None:
    """Raises ValueError for what the run itself controls, or what looks like a key."""
    for name in body:
        if name in _CONTROLLED:
            raise ValueError(f"'{name}' is set by {_CONTROLLED[name]}: it cannot stand here")
    shown = repr(dict(body))
    if redact(shown) != shown or _SECRET_FIELD.search(shown):
        raise ValueError("this holds what looks like a key: no secret may stand in a recipe")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ValueError for what HTTP or the client itself sets, for a secret, and for what is no header."""
    for name in headers:
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _HTTP_HEADERS:
            raise ValueError(f"'{name}' is no header that may be set here")
    _check_values(headers)


def check_query(query: Mapping[str, str]) -> None:
    """Raises ValueError for a secret."""
    _check_values(query)


def _check_values(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if _FROM_VARIABLE.fullmatch(value):
            continue
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"'{name}' holds what cannot be sent: give printable ASCII, or env:NAME")
        if "env:" in value or _SECRET_NAME.search(name) or redact(value) != value:
            raise ValueError(
                f"'{name}' may be a secret, and none may stand in a recipe: name the environment variable that holds "
                "it, as env:NAME or Bearer env:NAME"
            )


def read_values(values: Mapping[str, str], asked_by: str) -> dict[str, str]:
    """The values with what their variables hold. Raises InputError for a variable that is not set."""
    return {name: _read(value, f"{asked_by}, '{name}',") for name, value in values.items()}


def _read(value: str, asked_by: str) -> str:
    named = _FROM_VARIABLE.fullmatch(value)
    if named is None:
        return value
    key = read_api_key(named[2], None, asked_by)
    return f"{named[1]} {key}" if named[1] else key


def fold_system(turns: Sequence[Turn]) -> list[Turn]:
    """The same turns with every system turn at the head of the user's turn that follows it."""
    folded: list[Turn] = []
    waiting = ""
    for turn in turns:
        if turn.role == "system":
            waiting += f"{turn.content}\n\n"
        elif waiting and turn.role == "user":
            folded.append(Turn("user", waiting + turn.content, turn.trained))
            waiting = ""
        else:
            folded.append(turn)
    return [*folded, Turn("user", waiting.strip())] if waiting else folded
