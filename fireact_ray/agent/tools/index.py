"""Local BM25 search over any number of passages, by tantivy (memory-mapped from disk, built once).

Passages in, an index folder out, named after the corpus' content, so that a changed corpus never meets an old index.
Title and text are one field in which the title counts twice. A passage is found by the query's rarer words; the
commoner ones only add to its score. That bounds a search's work: tantivy-py has no top-k pruning, so a word that is in
every passage would otherwise have every passage scored.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tantivy
from tantivy import Filter, Occur, Query, TextAnalyzerBuilder, Tokenizer

from fireact_ray.core.errors import ToolError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.storage.node_cache import demand_writable
from fireact_ray.core.types import Hit

PASSAGES_PER_SEGMENT = 200_000

_VERSION = 2  # part of the fingerprint: another one where files or ranking change
_MIN_SELECTED = 20  # passages: see `_selective`
_MAX_QUERY_CHARS = 1000  # searches share an event loop: a longer query is cut, so that it holds up no other
_ANALYZER = (  # what tantivy calls en_stem, as an object for queries
    TextAnalyzerBuilder(Tokenizer.simple())
    .filter(Filter.remove_long(40))
    .filter(Filter.lowercase())
    .filter(Filter.stemmer("english"))
    .build()
)
_HEAP_BYTES = 1_000_000_000  # a bound: more than a segment's passages take (about 1 KB each for 60 words)
_MERGED_AT_ONCE = 8  # tantivy's default merge policy

logger = logging.getLogger(__name__)


class IndexBackend:
    """Searches an index folder. Opening maps the files; processes on a machine share the pages."""

    def __init__(self, index_dir: Path, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        index = tantivy.Index.open(str(index_dir))
        self._schema = index.schema
        self._searcher = index.searcher()
        self._max_selected = _max_selected(self._searcher.num_docs)

    async def search(self, query: str, k: int) -> list[Hit]:
        # tantivy releases the GIL and answers in well under a millisecond: a thread would cost more than the query.
        return self.search_now(query, k)

    def search_now(self, query: str, k: int) -> list[Hit]:
        """The `k` best passages, equal scores in the corpus' order. Raises ToolError only."""
        try:
            selective = self._selective(_valid(query[:_MAX_QUERY_CHARS]))
            if selective is None or k < 1:
                return []
            found = self._searcher.search(selective, k, count=False).hits
            return [self._hit(address, score) for score, address in found]
        except ValueError as error:
            raise ToolError(f"The index could not answer {query[:_MAX_QUERY_CHARS]!r}: {error}") from None

    async def close(self) -> None:
        """Nothing to release: the mapping goes with the object."""

    def _selective(self, text: str) -> Query | None:
        """The query whose rarest words select passages; None where none of its words is in any.

        As many words as together are in at most `_max_selected` passages, but always enough for _MIN_SELECTED, lest a
        misspelt word alone decide.
        """
        selecting: list[tuple[Occur, Query]] = []
        adding: list[tuple[Occur, Query]] = []
        n_selected = 0
        for n_passages, word in sorted((self._searcher.doc_freq("words", w), w) for w in set(_ANALYZER.analyze(text))):
            if n_passages == 0:
                continue
            clause = (Occur.Should, Query.term_query(self._schema, "words", word, "freq"))
            if n_selected < _MIN_SELECTED or n_selected + n_passages <= self._max_selected:
                selecting.append(clause)
                n_selected += n_passages
            else:
                adding.append(clause)
        if not selecting:
            return None
        query = Query.boolean_query(selecting)
        for clause in adding:  # each on its own: a union of them would be walked through whole
            query = Query.boolean_query([(Occur.Must, query), clause])
        return query

    def _hit(self, address: Any, score: float) -> Hit:
        passage = self._searcher.doc(address)
        return Hit(passage.get_first("title").decode(), passage.get_first("text").decode(), score)


def build_index(passages: Iterable[Hit], cache_dir: Path, corpus_key: str) -> IndexBackend:
    """Open the index of the corpus that `corpus_key` names, building it under `cache_dir` when it is missing.

    `passages` is not touched where the index is there. The folder is renamed into place whole, so that a killed build,
    or one that another process wins, does no harm.
    """
    fingerprint = f"index-{content_hash([_VERSION, corpus_key])}"
    target = cache_dir / fingerprint
    if not os.access(target, os.R_OK | os.X_OK):
        demand_writable(cache_dir)
        with tempfile.TemporaryDirectory(prefix=f"{fingerprint}.", dir=cache_dir) as folder:
            building = Path(folder) / "index"
            building.mkdir()
            write_index(passages, building)
            try:
                building.rename(target)
            except OSError:  # another process was first; its index is the same
                if not target.is_dir():
                    raise
    return IndexBackend(target, fingerprint)


def write_index(passages: Iterable[Hit], folder: Path, passages_per_segment: int = PASSAGES_PER_SEGMENT) -> None:
    """Index `passages` into the empty `folder`, holding one segment's of them in memory.

    The same passages always give the same hits, also among equal scores, because segments stay in the corpus' order:
    one thread fills them, each is one passage smaller than the last (tantivy orders segments by size, and equal ones by
    chance), and a merge ends before the next can begin. `passages_per_segment` is at least 10,000: below, tantivy
    takes all sizes for equal.
    """
    index = _new_index(folder)
    writer = _writer(index)
    n_segments, end, started = 0, passages_per_segment, time.monotonic()
    try:
        for n, passage in enumerate(passages, start=1):
            writer.add_document(_document(passage))
            if n == end:
                writer.commit()
                n_segments += 1
                end += passages_per_segment - n_segments
                logger.info("index: %d passages, %.0f s", n, time.monotonic() - started)
                if n_segments % _MERGED_AT_ONCE == _MERGED_AT_ONCE - 1:
                    writer.wait_merging_threads()
                    writer = _writer(index)
        writer.commit()
    finally:  # also after a bad row: its threads would go on writing into a folder that is being removed
        writer.wait_merging_threads()


def _max_selected(n_passages: int) -> int:
    """Passages that a query's words may select: where a search spends its time, so growing slower than the corpus."""
    return max(1500, round(4 * math.sqrt(n_passages)))


def _new_index(folder: Path) -> tantivy.Index:
    schema = tantivy.SchemaBuilder()
    schema.add_text_field("words", tokenizer_name="en_stem", index_option="freq")
    schema.add_bytes_field("title", stored=True, indexed=False)
    schema.add_bytes_field("text", stored=True, indexed=False)
    return tantivy.Index(schema.build(), path=str(folder))


def _writer(index: tantivy.Index) -> tantivy.IndexWriter:
    return index.writer(heap_size=_HEAP_BYTES, num_threads=1)


def _document(passage: Hit) -> tantivy.Document:
    title, text = _valid(passage.title), _valid(passage.text)
    return tantivy.Document(words=f"{title} {title} {text}", title=title.encode(), text=text.encode())


def _valid(text: str) -> str:
    """Without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
