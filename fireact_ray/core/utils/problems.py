"""What is wrong with settings, in a line for each problem: the key, what is wrong, what was found, what is allowed."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, Union, get_args, get_origin

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
    if kind == "union_tag_not_found":
        kinds = [name for member in _members(_walk(path, settings)[1]) for name in _kinds(member)]
        return f"{key}.kind: required, but missing; expected one of {', '.join(kinds)}."
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
        if len(members := _members(annotation)) > 1:
            annotation = next((member for member in members if part in _kinds(member)), None)
            continue
        parts.append(part)
        annotation = _inside(members[0] if members else annotation, part)
    return ".".join(parts), annotation


def _known_keys(path: Sequence[str], settings: type[BaseModel]) -> list[str]:
    _, annotation = _walk(path, settings)
    members = _members(annotation)
    return sorted(members[0].model_fields) if len(members) == 1 else []


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The sections that may stand there: several are told apart by their kind; one alone may be null as well."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    is_union = get_origin(annotation) in (Union, types.UnionType)
    found = get_args(annotation) if is_union else (annotation,)
    return [member for member in found if isinstance(member, type) and issubclass(member, BaseModel)]


def _kinds(section: type[BaseModel]) -> tuple[str, ...]:
    return get_args(section.model_fields["kind"].annotation)


def _inside(annotation: Any, part: str) -> Any:
    """The annotation of a section's field, of a list's place or of a mapping's value; None where it is unknown."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields[part].annotation if part in annotation.model_fields else None
    if get_origin(annotation) in (list, tuple):
        return get_args(annotation)[0]
    return get_args(annotation)[1] if get_origin(annotation) is dict else None
