"""Reading replies of any shape: what is not there, or is of another type, reads as nothing, never as an exception."""

from __future__ import annotations

import math
from typing import Any

from fireact_ray.core.errors import ToolError

_MAX_CHARS = 20_000  # of one text: far above any observation, far below what would hurt on its way to it


def reply_object(reply: Any, label: str) -> dict[str, Any]:
    """The reply, which must be a JSON object: anything else is no answer of this provider. Raises ToolError."""
    if not isinstance(reply, dict):
        raise ToolError(f"{label}: the reply is a JSON {type(reply).__name__}, not an object")
    return reply


def at(value: Any, *path: str | int) -> Any:
    """What stands at `path` in nested objects and lists, or None."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def rows(value: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects of the list at `path`."""
    found = at(value, *path)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def text(value: Any, *path: str | int) -> str:
    """The text at `path`; numbers are texts too, everything else is ""."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    return str(found)[:_MAX_CHARS].strip()


def number(value: Any, *path: str | int) -> float:
    """The finite number at `path`, or 0."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0.0
    try:
        return float(found) if math.isfinite(found) else 0.0
    except OverflowError:  # an integer of hundreds of digits
        return 0.0
