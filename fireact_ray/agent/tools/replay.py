"""Search by replay: answers a query from a recording, as the search engine did when it was recorded.

A recording is a JSONL file of {"query": ..., "text": ...} rows (an empty text: nothing was found), or a file
of trajectories as FireAct released them, whose searches stand beside what Google showed in 2023.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.types import Hit, ObservationStatus, Trajectory

THRESHOLD = 0.3  # half of the words of two queries of equal length give 0.33


class ReplayBackend:
    """The recorded query that equals the asked one, else the one most like it, else no hits.

    Queries are compared by their lower-case words; similarity is the Jaccard index (words shared / words in
    either) and must reach `threshold`. Ties go to the query recorded first. A query recorded with several
    texts has as many hits.
    """

    def __init__(self, recording: Iterable[tuple[str, str]], threshold: float = THRESHOLD) -> None:
        rows = list(recording)
        self.fingerprint = f"replay-{content_hash([rows, threshold])}"
        self._threshold = threshold
        self._texts: dict[tuple[str, ...], list[str]] = {}
        for query, text in rows:
            texts = self._texts.setdefault(_words(query), [])
            if text and text not in texts:
                texts.append(text)
        self._queries = list(self._texts)
        self._by_word: dict[str, list[int]] = defaultdict(list)  # positions in _queries
        for position, words in enumerate(self._queries):
            for word in set(words):
                self._by_word[word].append(position)

    @classmethod
    def from_jsonl(cls, path: Path, threshold: float = THRESHOLD) -> ReplayBackend:
        """Raises InputError naming the line that is no {query, text} object."""
        return cls(_recorded_rows(path), threshold)

    @classmethod
    def from_trajectories(cls, trajectories: Iterable[Trajectory], threshold: float = THRESHOLD) -> ReplayBackend:
        """Every search and what it showed; failed ones are left out."""
        return cls(_recorded_searches(trajectories), threshold)

    async def search(self, query: str, k: int) -> list[Hit]:
        words = _words(query)
        similarity, recorded = (1.0, words) if words in self._texts else self._most_alike(words)
        return [Hit("", text, similarity) for text in self._texts.get(recorded, ())][:k]

    async def close(self) -> None:
        """Nothing to release."""

    def _most_alike(self, words: tuple[str, ...]) -> tuple[float, tuple[str, ...]]:
        """Similarity and words of the best query that reaches the threshold, or (0, ()) for none."""
        shared = Counter(position for word in set(words) for position in self._by_word.get(word, ()))
        best: tuple[float, tuple[str, ...]] = (0.0, ())
        for position, n_shared in sorted(shared.items()):
            recorded = self._queries[position]
            similarity = n_shared / len({*words, *recorded})
            if similarity >= self._threshold and similarity > best[0]:
                best = (similarity, recorded)
        return best


def _words(query: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", query.casefold()))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Recording {path}: cannot be read ({error}). Give a JSONL file of {{'query', 'text'}} rows, "
            f"or a file of recorded trajectories."
        ) from None


def is_recording(path: Path) -> bool:
    """Whether its first line is a {query, text} object. Raises InputError where it cannot be read."""
    first = next((line for line in _read(path).splitlines() if line.strip()), "")
    return _row(first) is not None


def _row(line: str) -> tuple[str, str] | None:
    """A {query, text} line, or None for any other."""
    try:
        row = parse(line)
    except NotJson:
        return None
    query, text = (row.get("query"), row.get("text")) if isinstance(row, dict) else (None, None)
    return (query, text) if isinstance(query, str) and isinstance(text, str) else None


def _recorded_rows(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if line.strip():
            row = _row(line)
            if row is None:
                raise InputError(
                    f"Recording {path}, line {number}: expected an object with texts 'query' and 'text', "
                    f"found {line.strip()[:80]!r}."
                )
            yield row


def _recorded_searches(trajectories: Iterable[Trajectory]) -> Iterator[tuple[str, str]]:
    for step in (step for trajectory in trajectories for step in trajectory.steps):
        if step.action is None or step.action.tool != "search" or step.observation is None:
            continue
        if step.observation.status is not ObservationStatus.ERROR:
            found = step.observation.status is ObservationStatus.OK
            yield step.action.argument, step.observation.text if found else ""
