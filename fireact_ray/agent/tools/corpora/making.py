"""Sources -> one JSONL file of {"title", "text"} rows, each passage once, as the local index reads it.

One row is held in memory at a time, and eight bytes for each passage that was written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from fireact_ray.agent.tools.corpora.opening import BROKEN, Part, files_of, parts_of
from fireact_ray.agent.tools.corpora.passage import LeftOut, Passage
from fireact_ray.agent.tools.corpora.reading import NoCorpus, found_in
from fireact_ray.agent.tools.corpora.seen import Seen, key_of
from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.json_text import parse
from fireact_ray.core.paths import absolute, last_name
from fireact_ray.core.storage.part_file import part_file, part_of, write_whole
from fireact_ray.core.storage.source import size_of
from fireact_ray.core.utils.progress import Steps

_BATCH = 1000  # rows
_MB = 1_000_000
_ENCODER = json.JSONEncoder(ensure_ascii=False)


@dataclass
class SourceCounts:
    """`passages`: written; `repeated`: written before, word for word; `same_title`: an article beside a question, of
    which there was another text before. `skipped`: files within it that are no corpus, the first ones by name."""

    name: str
    bytes: int
    rows: int = 0
    passages: int = 0
    repeated: int = 0
    same_title: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    n_skipped: int = 0
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Corpus:
    """`was_there`: it was made of the same sources before, and was left as it is."""

    path: Path
    sources: list[SourceCounts]
    was_there: bool = False

    @property
    def n_passages(self) -> int:
        return sum(source.passages for source in self.sources)


def make_corpus(places: Sequence[str], out: Path) -> Corpus:
    """Write the passages of all `places`, in their order, to the file `out`, and `out`.about.json beside it.

    A source is known again by its name and size. Raises InputError for a place where nothing is or which is no corpus,
    and for an `out` that was made otherwise; DataError, with nothing written, for a file that breaks off.
    """
    own = {absolute(str(path)) for path in (out, part_of(out), about_file(out), part_of(about_file(out)))}
    files = [files_of(place, besides=own) for place in places]
    sources = [SourceCounts(last_name(place), sum(map(size_of, one))) for place, one in zip(places, files, strict=True)]
    if out.exists():
        return _made_before(sources, out)
    with part_file(out) as file:
        _write(places, files, sources, file)
        corpus = Corpus(out, sources)
        if not corpus.n_passages:
            raise InputError(f"{', '.join(places)}: no passage was found. {'; '.join(map(counts_text, sources))}")
        about = {"bytes": file.tell(), "passages": corpus.n_passages, "sources": [vars(one) for one in sources]}
        write_whole(about_file(out), json.dumps(about, indent=1) + "\n")
    return corpus


def about_file(out: Path) -> Path:
    return out.with_name(f"{out.name}.about.json")


def counts_text(source: SourceCounts) -> str:
    """What became of a source, in a sentence."""
    parts = [f"{source.rows:,} rows", f"{source.passages:,} passages written"]
    if source.repeated:
        parts.append(f"{source.repeated:,} repeated word for word")
    if source.same_title:
        parts.append(f"{source.same_title:,} under a title that was there")
    parts += [f"{count:,} left out: {reason}" for reason, count in source.left_out.most_common()]
    if source.n_skipped:
        parts.append(f"{source.n_skipped:,} files skipped, as no corpus: {', '.join(source.skipped)}")
    return f"{source.name}: {', '.join(parts)}"


def _made_before(sources: list[SourceCounts], out: Path) -> Corpus:
    about: Any = None
    if about_file(out).is_file():
        about = parse(about_file(out).read_bytes())
        wanted = [(one.name, one.bytes) for one in sources]
        made_of = [(one["name"], one["bytes"]) for one in about["sources"]]
        if wanted == made_of and about["bytes"] == out.stat().st_size:
            counts = [SourceCounts(**{**one, "left_out": Counter(one["left_out"])}) for one in about["sources"]]
            return Corpus(out, counts, was_there=True)
    of = f"was made of {', '.join(one['name'] for one in about['sources'])}" if about else "is no corpus made here"
    raise InputError(f"{out} is there and {of}. Name another --out, or remove that file.")


def _write(places: Sequence[str], files: list[list[str]], sources: list[SourceCounts], out: BinaryIO) -> None:
    seen, n_read, n_written = Seen(), 0, 0

    def on_read(n_bytes: int) -> None:
        nonlocal n_read
        n_read += n_bytes

    n_mb = sum(source.bytes for source in sources) // _MB
    with Steps("corpus, MB read", n_mb) as steps:
        for place, names, source in zip(places, files, sources, strict=True):
            for part in _parts(names, on_read, is_within=names != [place]):
                for passages in _passages(part, source):
                    fresh = _fresh(passages, seen, source)
                    out.write("".join(map(_line, fresh)).encode("utf-8", "replace"))
                    n_written += len(fresh)
                    steps.set(n_read // _MB, max(n_read // _MB, n_mb), f"{n_written:,} passages")


def _parts(files: Sequence[str], on_read: Callable[[int], None], *, is_within: bool) -> Iterator[Part]:
    for file in files:
        try:
            yield from parts_of(file, on_read, is_within=is_within)
        except BROKEN as error:  # between two files of an archive
            raise _broken(file, error) from None


def _passages(part: Part, source: SourceCounts) -> Iterator[list[Passage]]:
    try:
        found_rows = found_in(part.stream)
        while rows := tuple(islice(found_rows, _BATCH)):
            source.rows += len(rows)
            found = [one for row in rows for one in row]
            source.left_out.update(one.value for one in found if isinstance(one, LeftOut))
            yield [one for one in found if isinstance(one, Passage)]
    except NoCorpus as error:
        if not part.is_within:
            raise InputError(
                f"{part.name}: {error}. Give JSON, JSON lines, tab-separated cells or Parquet (docs/data.md)."
            ) from None
        source.n_skipped += 1
        if len(source.skipped) < 3:
            source.skipped.append(last_name(part.name))
    except DataError as error:
        raise DataError(f"{part.name}: {error}. Get that file again: nothing was written.") from None
    except BROKEN as error:
        raise _broken(part.name, error) from None


def _broken(name: str, error: Exception) -> DataError:
    return DataError(f"{name} breaks off or is damaged ({error}). Get that file again: nothing was written.")


def _fresh(passages: list[Passage], seen: Seen, source: SourceCounts) -> list[Passage]:
    """Those that were not there before, with which `source` is counted up."""
    keys = [key_of(one.title, one.text) for one in passages]
    titles = [key_of(one.title) if one.by_title and one.title else key for one, key in zip(passages, keys, strict=True)]
    now: set[int] = set()
    fresh: list[Passage] = []
    for one, key, title, is_old, has_title in zip(
        passages, keys, titles, seen.holds(keys), seen.holds(titles), strict=True
    ):
        if is_old or key in now:
            source.repeated += 1
        elif has_title or title in now:
            source.same_title += 1
        else:
            now.update((key, title))
            fresh.append(one)
    seen.add(list(now))
    source.passages += len(fresh)
    return fresh


def _line(passage: Passage) -> str:
    return _ENCODER.encode({"title": passage.title, "text": passage.text}) + "\n"
