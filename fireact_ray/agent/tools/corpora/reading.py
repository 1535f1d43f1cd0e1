"""A stream of anybody's corpus -> its passages. What it is is told by how it begins, never by its name."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from fireact_ray.agent.tools.corpora.json_stream import begins_a_list, first_object, json_lines, json_list, text_lines
from fireact_ray.agent.tools.corpora.passage import Found, LeftOut
from fireact_ray.agent.tools.corpora.rows import FIELDS, passages_of
from fireact_ray.agent.tools.corpora.tsv import columns_of, names_its_columns, table_passages
from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.source import encoding_of

_HEAD_BYTES = 1 << 16
_PARQUET = b"PAR1"
_LFS_POINTER = "version https://git-lfs.github.com"
_TABLE_ROWS = 1000  # of Parquet, at a time


class NoCorpus(ValueError):
    """A stream is none of the formats that are read. The message says what it is instead."""


def found_in(stream: io.BufferedReader) -> Iterator[tuple[Found, ...]]:
    """What each row holds. Raises NoCorpus at once, and DataError where what follows cannot be read any more."""
    head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    if head.startswith(_PARQUET):
        return _parquet_rows(stream)
    text = head.decode(encoding_of(head[:4]), errors="ignore").lstrip("\ufeff")
    if not text.strip():
        raise NoCorpus("it is empty")
    if text.lstrip().startswith("<"):
        raise NoCorpus("it is a web page or XML, as a server sends instead of a file that it refuses")
    if text.startswith(_LFS_POINTER):
        raise NoCorpus("it is a pointer of Git LFS, and the file itself was not fetched: `git lfs pull` does")
    if begins_a_list(text):
        _demand_fields(text.lstrip()[1:])
        return (tuple(passages_of(row)) for row in json_list(stream))
    if text.lstrip().startswith("{"):
        _demand_fields(text)
        return map(_of_line, json_lines(stream))
    columns = columns_of(text.lstrip("\r\n").split("\n", 1)[0])
    if columns is None:
        raise NoCorpus(f"it begins with {text.strip()[:40]!r}")
    return _table_rows(stream, columns)


def _of_line(row: object) -> tuple[Found, ...]:
    return (row,) if isinstance(row, LeftOut) else tuple(passages_of(row))


def _demand_fields(text: str) -> None:
    """Objects of something else are told by the first one, where it is whole."""
    first = first_object(text)
    if first is not None and not any(name in first for name in FIELDS):
        raise NoCorpus(f"its rows hold {', '.join(map(str, list(first)[:6]))}, none of {', '.join(FIELDS)}")


def _table_rows(stream: io.BufferedReader, columns: tuple[str, ...]) -> Iterator[tuple[Found, ...]]:
    lines = _Lines(stream)
    first = next(line for line in lines if isinstance(line, LeftOut) or line.strip())
    if isinstance(first, str) and not names_its_columns(first):
        yield from ((found,) for found in table_passages(iter([first]), columns))
    found = None
    for found in table_passages(lines, columns):
        yield (found,)
    if found is LeftOut.CELLS and not lines.is_ended:  # who knows how many are missing behind it
        raise DataError("it is not whole: its last line breaks off")


class _Lines:
    """Lines of a table. `is_ended`: the last one that was read ends as a line does."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._lines = text_lines(stream)
        self.is_ended = True

    def __iter__(self) -> Iterator[str | LeftOut]:
        return self

    def __next__(self) -> str | LeftOut:
        line = next(self._lines)
        self.is_ended = isinstance(line, LeftOut) or line.endswith("\n")
        return line


def _parquet_rows(stream: io.BufferedReader) -> Iterator[tuple[Found, ...]]:
    if not stream.seekable():
        raise NoCorpus("it is Parquet within something packed: unpack it, and give the Parquet file")
    try:
        file = pq.ParquetFile(stream)
        columns = [name for name in file.schema_arrow.names if name in FIELDS]
    except pa.ArrowException as error:
        raise DataError(f"broken Parquet ({error})") from None
    if not columns:
        raise NoCorpus(f"its columns are {', '.join(file.schema_arrow.names)}, none of {', '.join(FIELDS)}")
    return _rows_of(file, columns)


def _rows_of(file: pq.ParquetFile, columns: list[str]) -> Iterator[tuple[Found, ...]]:
    try:
        for batch in file.iter_batches(_TABLE_ROWS, columns=columns):
            for row in batch.to_pylist():
                yield tuple(passages_of(row))
    except (pa.ArrowException, UnicodeDecodeError) as error:  # bytes that are no text are found out when they are used
        raise DataError(f"broken Parquet ({error})") from None
