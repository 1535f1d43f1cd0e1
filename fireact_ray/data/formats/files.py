"""A file or folder in, its rows by number out: Parquet, Arrow, JSON lines, a JSON list or one JSON object.

What a file is shows in how it begins, never in its name. A row that cannot be read is a NotJson that says why, so that
the rows beside it are read; a file is refused where its rows cannot be told apart.
"""

from __future__ import annotations

import io
import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import NotJson, parse, parse_list
from fireact_ray.core.storage.source import decoded, encoding_of, opened
from fireact_ray.data.formats.json_object import rows_of_object
from fireact_ray.data.formats.row_files import row_files

_PARQUET, _ARROW_FILE, _ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
_BATCH_ROWS = 1_000
_NEXT = "Give a Parquet, Arrow, JSON or JSON lines file."

logger = logging.getLogger(__name__)

Rows = Iterator[tuple[int, Any]]


class _Halves:
    """Counts the texts that held half a character."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> None:
        self.n += 1


def numbered_rows(path: str) -> list[tuple[int, Any]]:
    """All that `stream_rows` gives."""
    return list(stream_rows(path))


def stream_rows(path: str) -> Rows:
    """Rows of any content, a NotJson for one that cannot be read. Numbers count from 1; in JSON lines they are lines'.

    `path`: a file, or a folder of files of one kind, whose rows are counted on from file to file. JSON lines, Parquet
    and Arrow are read a part at a time; a JSON list or object is held whole. Raises InputError for what cannot be read.
    """
    halves = _Halves()
    before = last = 0
    for file in row_files(path):
        for number, row in _rows(file, halves):
            last = before + number
            yield last, row
        before = last
    if halves.n:
        logger.warning("%s: %d texts hold half a character (a lone surrogate), read as U+FFFD", path, halves.n)


def _rows(place: str, halves: _Halves) -> Rows:
    with opened(place) as stream:
        head = stream.peek(1)
        if head.startswith((_PARQUET, _ARROW_FILE, _ARROW_STREAM)):
            yield from enumerate(itertools.chain.from_iterable(_batches(place, stream, head)), start=1)
        elif _begins(head).startswith("["):
            yield from _listed(place, decoded(place, stream.read()), halves)
        else:
            yield from _lined(place, stream, head, halves)


def _batches(place: str, stream: io.BufferedReader, head: bytes) -> Iterator[list[Any]]:
    try:
        for batch in _record_batches(stream, head):
            yield _pylist(batch)
    except (pa.ArrowException, OSError) as error:
        kind = "Parquet" if head.startswith(_PARQUET) else "Arrow"
        raise InputError(f"{place}: not a readable {kind} file ({' '.join(str(error).split())}). {_NEXT}") from None


def _record_batches(stream: io.BufferedReader, head: bytes) -> Iterator[pa.RecordBatch]:
    if head.startswith(_ARROW_STREAM):
        yield from pa.ipc.open_stream(stream)
        return
    file = stream.raw if stream.seekable() else io.BytesIO(stream.read())
    if head.startswith(_PARQUET):
        yield from pq.ParquetFile(file).iter_batches(_BATCH_ROWS)
        return
    reader = pa.ipc.open_file(file)
    yield from map(reader.get_batch, range(reader.num_record_batches))


def _pylist(batch: pa.RecordBatch) -> list[Any]:
    try:
        rows: list[Any] = batch.to_pylist()
    except UnicodeDecodeError:  # writers of Parquet need not look at what they call a string
        if batch.num_rows > 1:
            return [row for number in range(batch.num_rows) for row in _pylist(batch.slice(number, 1))]
        return [NotJson("a text is not UTF-8")]
    return rows


def _begins(head: bytes) -> str:
    return head[:4096].decode(encoding_of(head), "replace").lstrip()


def _listed(place: str, text: str, halves: _Halves) -> Rows:
    """Of a JSON list; of lines that are lists themselves where one ends before the text does."""
    first = text[: text.find("\n") + 1]
    if first.rstrip().endswith("]") and text[len(first) : len(first) + 4096].strip():
        yield from _parsed(io.BytesIO(text.encode()), halves)
        return
    try:
        yield from enumerate(parse_list(text, on_half=halves), start=1)
    except NotJson as error:
        raise InputError(f"{place} is not JSON: {error}. Mend it there, or write a row a line (JSON lines).") from None


def _lined(place: str, stream: io.BufferedReader, head: bytes, halves: _Halves) -> Rows:
    """Of JSON lines, read one by one, or of one JSON object. Other UTFs are read as UTF-8."""
    is_utf8 = encoding_of(head).startswith("utf-8")
    lines = stream if is_utf8 else io.BytesIO(decoded(place, stream.read()).encode())
    begun = list(_until(lines, 2))
    first = next(_parsed(begun, _Halves()), None)
    if first is None or (isinstance(first[1], dict) and sum(map(_is_row, begun)) > 1):
        yield from _parsed(itertools.chain(begun, lines), halves)
        return
    whole = [*begun, *lines]
    try:
        found = parse(b"".join(whole), on_half=halves)
    except NotJson:
        yield from _parsed(whole, halves)
        return
    rows = rows_of_object(place, found) if isinstance(found, dict) else iter([(1, found)])
    yield from ((first[0] if row is found else number, row) for number, row in rows)


def _until(lines: Iterable[bytes], n_rows: int) -> Iterator[bytes]:
    """Lines up to the one that makes `n_rows`."""
    for line in lines:
        yield line
        n_rows -= _is_row(line)
        if not n_rows:
            return


def _is_row(line: bytes) -> bool:
    return bool(line.strip())


def _parsed(lines: Iterable[bytes], halves: _Halves) -> Rows:
    for number, line in enumerate(lines, start=1):
        if _is_row(line):
            try:
                yield number, parse(line.rstrip(b"\r\n"), on_half=halves)
            except NotJson as error:
                is_cut = not line.endswith(b"\n")
                yield number, NotJson(error.reason, number, error.column, is_cut)
