"""Reading replies of any shape: what is not there, or is of another type, reads as nothing, never as an exception.

A section is a place where a provider puts its results, written with dots: `web.results`. Null means absent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from fireact_ray.core.errors import ToolError
from fireact_ray.core.net.provider_errors import one_line

_MAX_CHARS = 20_000  # of one text: far above any observation, far below what would hurt on its way to it
_MAX_DEPTH = 4  # of facts within facts
_MAX_KEYS = 12  # of a reply, named in an error
# Names of fields that say nothing about the world: addresses, pictures, ids, places on the page.
_NO_FACT = re.compile(
    r"(?:.*_)?(?:links?|urls?|images?|thumbnails?|favicon|icon|logo|flag|id|kgmid|position|source|website|token|query)|"
    r"(?:serpapi|displayed|image|see_|people_also)_?.*|.*(?:Url|Link|Id)",
)


def reply_object(reply: Any, label: str, bare_list: str | None = None) -> dict[str, Any]:
    """The reply, which must be a JSON object: anything else is no answer of this provider. Raises ToolError.

    `bare_list`: the section that a bare list stands for, where the provider may give one.
    """
    if isinstance(reply, list) and bare_list is not None:
        return {bare_list: reply}
    if not isinstance(reply, dict):
        raise ToolError(f"{label}: the reply is a JSON {type(reply).__name__}, not an object")
    return reply


def unread(reply: dict[str, Any], sections: Sequence[str]) -> str | None:
    """Why a reply in which no text was found is no "nothing found", or None where one of its sections is there and
    they are all empty."""
    found = {name: value for name in sections if (value := at(reply, *name.split("."))) is not None}
    if not found:
        return f"the reply holds none of {', '.join(sections)}: keys seen {_names(reply)}"
    filled = {name: value for name, value in found.items() if not _is_bare(value)}
    return f"no text can be read in the reply's {_names(filled)}: keys seen {_names(reply)}" if filled else None


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


def texts(value: Any, *path: str | int) -> list[str]:
    """The texts of the list at `path`, or the one text there."""
    found = at(value, *path)
    return [one for item in (found if isinstance(found, list) else [found]) if (one := text(item))]


def facts(value: Any, *, without: Sequence[str] = (), depth: int = _MAX_DEPTH) -> str:
    """What an object of named facts says, on one line: `born: 1933, Dunmore; died: 2001`. Addresses, pictures and ids
    are left out, and so are the fields `without`."""
    if isinstance(value, list):
        return ", ".join(said for item in value if (said := facts(item, depth=depth - 1)))[:_MAX_CHARS]
    if not isinstance(value, dict):
        found = text(value)
        return "" if found.startswith(("http://", "https://")) else found
    if depth <= 0:
        return ""
    named = (
        (name, facts(inner, depth=depth - 1))
        for name, inner in value.items()
        if name not in without and not _NO_FACT.fullmatch(name)
    )
    return "; ".join(f"{name.replace('_', ' ')}: {what}" for name, what in named if what)[:_MAX_CHARS]


def joined(*parts: str) -> str:
    """Several things told of one: `A botanist. born: 1933`."""
    return "; ".join(part for part in parts if part).replace(".; ", ". ")


def number(value: Any, *path: str | int) -> float:
    """The finite number at `path`, or 0."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0.0
    try:
        return float(found) if math.isfinite(found) else 0.0
    except OverflowError:  # an integer of hundreds of digits
        return 0.0


def _is_bare(value: Any) -> bool:
    """Whether nothing is said in it: no text or number, however deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
        elif one is not None and not isinstance(one, bool) and one != "":
            return False
    return True


def _names(reply: dict[str, Any]) -> str:
    more = " ..." if len(reply) > _MAX_KEYS else ""
    return one_line(", ".join(list(reply)[:_MAX_KEYS])) + more if reply else "none"
