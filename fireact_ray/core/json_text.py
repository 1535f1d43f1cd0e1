"""The one reader of JSON: a text in, its value out, or NotJson for every reason that there is.

Python's own reader raises four kinds of errors, of which only one says where. Its dialect is kept: NaN and Infinity
are read, as Python writes them, and of a key that occurs twice the last one counts. What it gives can be written again:
half a character (a lone surrogate such as "\\ud83d", which no UTF-8 can hold) is read as U+FFFD.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_FIRST_CHARS = re.compile(r"[ \t\n\r]*")
# A text without an end goes on to the end: linear.
_MARKS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},]', re.DOTALL)
_DECODER = json.JSONDecoder()
_LENIENT = json.JSONDecoder(strict=False)


class NotJson(ValueError):
    """A text is no JSON. `line` and `column` count from 1; None where the reason has no place. `is_cut`: it is the last
    line of a file, and is not ended."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None, is_cut: bool = False) -> None:
        super().__init__(reason, line, column, is_cut)  # all of them, so that it can be pickled
        self.reason, self.line, self.column, self.is_cut = reason, line, column, is_cut

    def __str__(self) -> str:
        line = "" if self.line is None else f" in line {self.line}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.reason}{line}{column}"


def parse(text: str | bytes, *, strict: bool = True, on_half: Callable[[], object] | None = None) -> Any:
    """The value of a whole text, or of bytes in any UTF. Raises NotJson.

    `strict` False: texts within it may hold control characters as they are. `on_half` is called for each text that
    holds half a character.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode(json.detect_encoding(text))
        value = json.loads(decoded) if strict else json.loads(decoded, strict=False)
        halves = _has_escapes(decoded) or not (decoded is not text or _is_utf8(decoded))
        return _whole(value, on_half) if halves else value
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from None


def parse_head(text: str, start: int = 0, *, strict: bool = True) -> tuple[Any, int]:
    """The value that begins at `start` of a text that may go on behind it, and where it ends. Raises NotJson."""
    try:
        value, end = (_DECODER if strict else _LENIENT).raw_decode(text, start)
        read = text[start:end]
        return (_whole(value, None) if _has_escapes(read) or not _is_utf8(read) else value), end
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from None


def parse_list(text: str, *, on_half: Callable[[], object] | None = None) -> Iterator[Any]:
    """The items of a JSON list, one after the other, with a NotJson in the place of one that is none.

    Raises NotJson where there is no list, and where it goes wrong such that the next item cannot be told.
    """
    at = _skip_space(text, 0)
    if text[at : at + 1] != "[":
        raise NotJson("expected a list", *_place(text, at))
    at = _skip_space(text, at + 1)
    halves = _has_escapes(text) or not _is_utf8(text)
    while text[at : at + 1] != "]":
        item, end = _item(text, at, halves, on_half)
        yield item
        at = _skip_space(text, end)
        if text[at : at + 1] == ",":
            at = _skip_space(text, at + 1)
        elif text[at : at + 1] != "]":
            raise NotJson("expected ',' or the end of the list", *_place(text, at))
    if (rest := _skip_space(text, at + 1)) < len(text):
        raise NotJson("text after the end of the list", *_place(text, rest))


def _item(text: str, start: int, halves: bool, on_half: Callable[[], object] | None) -> tuple[Any, int]:
    try:
        item, end = _DECODER.raw_decode(text, start)
        return (_whole(item, on_half) if halves else item), end
    except (ValueError, RecursionError) as error:
        found = _not_json(error)
    found = found if found.line else NotJson(found.reason, *_place(text, start))
    if (found_end := _end_of(text, start)) is None:
        raise found
    return found, found_end


def _end_of(text: str, start: int) -> int | None:
    """Where the item that begins at `start` ends, by its brackets and commas; None where they do not say."""
    depth = 0
    for match in _MARKS.finditer(text, start):
        mark = match[0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
            if depth <= 0:  # below: the list's own end
                return match.end() if depth == 0 else match.start()
        elif mark == "," and depth == 0:
            return match.start()
    return None


def _not_json(error: ValueError | RecursionError) -> NotJson:
    match error:
        case NotJson():
            return error
        case json.JSONDecodeError():
            return NotJson(error.msg[0].lower() + error.msg[1:].removesuffix(" at"), error.lineno, error.colno)
        case UnicodeDecodeError():
            return NotJson(f"not {error.encoding.upper()} text (byte {error.start})")
        case RecursionError():
            return NotJson("lists or objects are nested too deeply")
        case _:
            return NotJson("an integer has too many digits")


def _skip_space(text: str, at: int) -> int:
    match = _FIRST_CHARS.match(text, at)
    return match.end() if match else at


def _place(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _has_escapes(text: str) -> bool:
    """Whether an escape names a surrogate. Mostly it is half of a whole pair."""
    return "\\ud" in text or "\\uD" in text


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(value: Any, on_half: Callable[[], object] | None) -> Any:
    """The value with U+FFFD for each half of a character. Raises RecursionError for one that is nested too deeply."""
    if isinstance(value, str):
        if _is_utf8(value):
            return value
        if on_half is not None:
            on_half()
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(item, on_half) for item in value]
    if isinstance(value, dict):
        return {_whole(key, on_half): _whole(item, on_half) for key, item in value.items()}
    return value
