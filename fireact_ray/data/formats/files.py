"""A file in, its rows by number out. Parquet, a JSON list and JSON lines are told apart by how a file begins."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder

NOT_JSON = object()  # stands for a line that is none

_PARQUET = b"PAR1"


def numbered_rows(path: str) -> list[tuple[int, Any]]:
    """Rows of any content, NOT_JSON for a line that is no JSON. A number counts from 1, and is a line's in JSON lines.

    Raises InputError for a file that cannot be read.
    """
    data = _bytes(path)
    if data.startswith(_PARQUET):
        return list(enumerate(_parquet_rows(path, data), start=1))
    try:
        return list(_json_rows(path, data.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}).") from None


def _bytes(path: str) -> bytes:
    try:
        if "://" in path:
            folder, _, name = path.rpartition("/")
            return Folder(folder).read(name)
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason}). Give a Parquet, JSON or JSON lines file.") from None


def _parquet_rows(path: str, data: bytes) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({' '.join(str(error).split())}).") from None
    return rows


def _json_rows(path: str, text: str) -> Iterator[tuple[int, Any]]:
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), start=1)
        except json.JSONDecodeError as error:
            raise InputError(f"{path} is not JSON: {error.msg} in line {error.lineno}.") from None
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError:
                yield number, NOT_JSON
