"""One JSON object in, the rows that it stands for out: a row, a list under a name, or records by question or id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fireact_ray.core.errors import InputError

_ROW_KEYS = frozenset({"messages", "conversations", "instruction", "question", "query", "steps"})
_COLUMNS = "Write a row a line, in pandas by to_json(orient='records', lines=True)."


def rows_of_object(place: str, found: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    """Numbered from 1. A record gets its key as "question" or, where it has one, as "id".

    Raises InputError for an object of columns, and for one with several lists of rows.
    """
    if _is_columns(found):
        raise InputError(f"{place}: an object of columns, not of rows ({_names(found)}). {_COLUMNS}")
    if not _ROW_KEYS.isdisjoint(found):
        yield 1, found
        return
    lists = [name for name, value in found.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(lists) > 1:
        raise InputError(
            f"{place}: an object with {len(lists)} lists ({_names(lists)}). Write the rows of one into a file."
        )
    if lists:
        yield from enumerate(found[lists[0]], start=1)
    elif found and all(isinstance(record, dict) for record in found.values()):
        for number, (key, record) in enumerate(found.items(), start=1):
            yield number, {"id" if "question" in record else "question": key, **record}
    else:
        yield 1, found


def _is_columns(found: dict[str, Any]) -> bool:
    if _ROW_KEYS.isdisjoint(found):
        return False
    values = list(found.values())
    if all(isinstance(value, dict) for value in values):
        return all(value.keys() == values[0].keys() for value in values)
    texts = [value for key, value in found.items() if key in ("question", "instruction", "query")]
    return any(isinstance(value, list) for value in texts)


def _names(names: Any) -> str:
    first = list(names)[:4]
    return ", ".join(first) + (" ..." if len(names) > len(first) else "")
