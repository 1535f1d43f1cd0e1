"""What is wrong with settings, in a line for each problem: the key, what is wrong, what was found, what is allowed."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from fireact_ray.core.utils.text import nearest


def problems_of(error: ValidationError, settings: type[BaseModel], whole: str) -> list[str]:
    """`settings`: what was validated; `whole`: what a message calls all of it."""
    return [_described(problem, settings, whole) for problem in error.errors(include_url=False)]


def _described(problem: Any, settings: type[BaseModel], whole: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key, found = _walk(path, settings)[0] or whole, problem["input"]
    kind, message = problem["type"], problem["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1], settings)
        return f"{key}: unknown key.{_did_you_mean(path[-1], known)} Known: {', '.join(known)}."
    if kind == "missing":
        return f"{key}: required, but missing."
    if kind == "value_error" and "known: " in message:
        return f"{key}: {message}; found {found!r}.{_did_you_mean(str(found), message.split('known: ')[1].split(', '))}"
    if kind in ("literal_error", "union_tag_invalid"):
        allowed = problem["ctx"].get("expected") or problem["ctx"]["expected_tags"]
        tag = found if kind == "literal_error" else problem["ctx"]["tag"]
        names = [name.strip(" '") for name in allowed.replace(" or ", ", ").split(",")]
        return f"{key}: expected one of {', '.join(names)}; found {tag!r}.{_did_you_mean(str(tag), names)}"
    if kind == "value_error" and isinstance(found, dict):  # a rule over a whole section, or over all of them
        return f"{key}: {message}." if path else f"{message}."
    return f"{key}: {message[0].lower()}{message[1:]}; found {found!r}."


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    return f" Did you mean '{near}'?" if (near := nearest(word, known)) else ""


def _walk(path: Sequence[str], settings: type[BaseModel]) -> tuple[str, Any]:
    """The key as the user wrote it, empty for the whole, and the annotation found there.

    pydantic puts the tag of a union into its path (`model.openai.name`); the user wrote no such key.
    """
    annotation: Any = settings
    parts: list[str] = []
    for part in path:
        if len(members := _union_members(annotation)) > 1:
            annotation = next((m for m in members if part in get_args(m.model_fields["kind"].annotation)), None)
            continue
        annotation = members[0] if members else annotation
        parts.append(part)
        fields = annotation.model_fields if _is_section(annotation) else {}
        annotation = fields[part].annotation if part in fields else None
    return ".".join(parts), annotation


def _known_keys(path: Sequence[str], settings: type[BaseModel]) -> list[str]:
    _, annotation = _walk(path, settings)
    if len(members := _union_members(annotation)) == 1:
        annotation = members[0]
    return sorted(annotation.model_fields) if _is_section(annotation) else []


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _union_members(annotation: Any) -> list[Any]:
    """Sections among the members of a union: several are told apart by their kind, one is a section or null."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return [member for member in get_args(annotation) if _is_section(member)] if is_union else []
