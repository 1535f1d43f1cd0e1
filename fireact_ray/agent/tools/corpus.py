"""A corpus file -> its passages, and the key that names its content.

A corpus is a JSONL file of {"title": ..., "text": ...} rows; Search-R1's {"contents": "title\\ntext"} is read too.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import parse
from fireact_ray.core.types import Hit

_SETTLED_S = 2.0  # a file younger than this may change again without its time of change showing it


def read_corpus(path: Path) -> Iterator[Hit]:
    """Passages of a JSONL file. Raises InputError naming the row that has neither `text` nor `contents`."""
    _check_is_file(path)
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = parse(line)
                title, text = (
                    row["contents"].split("\n", 1) if "contents" in row else (row.get("title", ""), row["text"])
                )
            except (ValueError, KeyError, AttributeError, TypeError):
                raise InputError(
                    f"Corpus {path}, line {number}: expected a JSON object with 'title' and 'text' "
                    f"(or 'contents'), found {line.strip()[:80]!r}. `fireact data corpus {path} --out FILE` reads more."
                ) from None
            yield Hit(str(title), str(text))


def corpus_key(path: Path, cache_dir: Path) -> str:
    """SHA-256 of a corpus file, so that the same corpus gives the same row keys on every machine.

    Gigabytes take seconds, so the digest is remembered under `cache_dir`, for as long as the file keeps its place, size
    and time of change.
    """
    _check_is_file(path)
    path = path.resolve()
    seen = path.stat()
    note = cache_dir / "digests" / content_hash([str(path), seen.st_size, seen.st_mtime_ns])
    if os.access(note, os.R_OK):
        return note.read_text(encoding="ascii")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if path.stat().st_mtime_ns == seen.st_mtime_ns and time.time() - seen.st_mtime > _SETTLED_S:
        with suppress(OSError):  # a cache that cannot be written costs time only
            _write_whole(note, digest)
    return digest


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            f"Corpus {path}: no such file. Give a JSONL file of {{'title', 'text'}} rows; `fireact data corpus "
            f"SOURCE... --out {path}` makes it of what you have (docs/data.md)."
        )


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
    Path(name).replace(path)
