"""JSON values one after the other, of lines or of one long list, holding one value in memory at a time."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator

from fireact_ray.agent.tools.corpora.passage import LeftOut
from fireact_ray.core.errors import DataError
from fireact_ray.core.json_text import NotJson, parse, parse_head
from fireact_ray.core.storage.source import encoding_of

MAX_CHARS = 1 << 26  # of a value; a longer one is taken for a text that is never closed

_CHUNK = 1 << 20
_SPACE = " \t\r\n"
_IN_UTF8 = ("utf-8", "utf-8-sig")


def text_lines(stream: io.BufferedReader) -> Iterator[str | LeftOut]:
    """Lines in any UTF, without byte order mark; NOT_TEXT for one that is none. Raises DataError for an endless one."""
    encoding = encoding_of(stream.peek(4)[:4])
    if encoding in _IN_UTF8:
        stream.read(3 if encoding == "utf-8-sig" else 0)
        lines: Iterator[bytes | str] = iter(lambda: stream.readline(MAX_CHARS), b"")
    else:
        wrapped = io.TextIOWrapper(stream, encoding, newline="\n")
        lines = iter(lambda: wrapped.readline(MAX_CHARS), "")
    n_read = 0
    while line := _next_line(lines, encoding, n_read):
        n_read += 1
        if len(line) == MAX_CHARS:
            raise DataError(f"line {n_read} has more than {MAX_CHARS} characters")
        try:
            yield line if isinstance(line, str) else line.decode()
        except UnicodeDecodeError:
            yield LeftOut.NOT_TEXT


def _next_line(lines: Iterator[bytes | str], encoding: str, n_read: int) -> bytes | str:
    """Empty at the end."""
    try:
        return next(lines, "")
    except UnicodeError:  # in another UTF than the eighth, no next line can be told
        raise DataError(f"no {encoding.upper()} text behind line {n_read}") from None


def json_lines(stream: io.BufferedReader) -> Iterator[object | LeftOut]:
    """The value of each line that is not blank, or why it has none. Raises DataError for a last one that breaks off."""
    for n_read, line in enumerate(text_lines(stream), start=1):
        if isinstance(line, LeftOut):
            yield line
        elif line.strip():
            try:
                yield parse(line)
            except NotJson as error:
                if not line.endswith("\n"):  # who knows how many are missing behind it
                    raise DataError(f"it is not whole: line {n_read} breaks off ({error.reason})") from None
                yield LeftOut.NOT_JSON


def json_list(stream: io.BufferedReader) -> Iterator[object]:
    """The items of a list. Raises DataError naming the item behind which no other can be told."""
    encoding = encoding_of(stream.peek(4)[:4])
    decoder = codecs.getincrementaldecoder(encoding)()
    text, at, n_read, is_whole = "", 0, 0, False

    def more(wanted: int) -> None:
        nonlocal text, at, is_whole
        data = b"" if is_whole else stream.read(wanted)
        is_whole = not data
        try:
            text, at = text[at:] + decoder.decode(data, is_whole), 0
        except UnicodeError:
            raise DataError(f"no {encoding.upper()} text behind item {n_read}") from None

    def skip_space() -> str:
        nonlocal at
        while True:
            while at < len(text) and text[at] in _SPACE:
                at += 1
            if at < len(text) or is_whole:
                return text[at : at + 1]
            more(_CHUNK)

    if skip_space() != "[":
        raise DataError("expected a JSON list")
    at += 1
    while (mark := skip_space()) != "]":
        wanted = _CHUNK
        while True:
            try:
                item, end = parse_head(text, at)
            except NotJson as error:
                if is_whole or not mark or len(text) - at > MAX_CHARS:
                    raise DataError(f"item {n_read + 1} is no JSON or not whole: {error.reason}") from None
                more(wanted)
                wanted *= 2  # so that a long item is not read over and over
                continue
            if end < len(text) or is_whole:  # a number could go on
                break
            more(wanted)
        n_read, at = n_read + 1, end
        yield item
        if (mark := skip_space()) == ",":
            at += 1
        elif mark != "]":
            raise DataError(f"item {n_read} is followed by {mark!r} instead of a comma or the end of the list")


def begins_a_list(head: str) -> bool:
    """Whether a text begins with a list of objects."""
    rest = head.lstrip()
    return rest.startswith("[") and rest[1:].lstrip()[:1] in ("{", "")


def first_object(head: str) -> dict[str, object] | None:
    """The object with which a text begins, or None."""
    try:
        found, _ = parse_head(head.lstrip())
    except NotJson:
        return None
    return found if isinstance(found, dict) else None
