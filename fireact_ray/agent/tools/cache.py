"""A cache around a search backend: a query is paid for once, also across runs, and by one caller at a time.

What was found is on disk before it is shown (SQLite in WAL mode: many processes of a machine read and write one file).
The key is the backend's fingerprint, the query and k. Failures are never kept.

Before version 1 of the file, replies that were not understood were kept as "nothing found". Such rows cannot be told
from true ones, so a file of before forgets every "nothing found" once, and says how many.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import parse
from fireact_ray.core.types import Hit

_BUSY_S = 5.0  # how long a write waits for another process's
_VERSION = 1
_TABLE = "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, backend TEXT, query TEXT, k INTEGER, hits TEXT)"

logger = logging.getLogger(__name__)


class CachingBackend:
    """`path`: the cache file. It is opened at the first search, and must be on a local disk (WAL needs shared memory).

    A cache that cannot be read or written costs money, not the run: it is reported once, and searches go on without.
    """

    def __init__(self, inner: SearchBackend, path: Path) -> None:
        self.fingerprint = inner.fingerprint
        self._inner, self._path = inner, path
        self._store: sqlite3.Connection | None = None
        self._usable = True
        self._under_way: dict[str, asyncio.Task[list[Hit]]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return CachingBackend, (self._inner, self._path)

    async def search(self, query: str, k: int) -> list[Hit]:
        key = content_hash([self.fingerprint, query, k], length=32)
        if (hits := self._load(key)) is not None:
            return hits
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._search(key, query, k))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        # Shielded: when the caller that came first is cancelled, the others still want the result.
        return await asyncio.shield(task)

    async def close(self) -> None:
        for task in self._under_way.values():
            task.cancel()
        await self._inner.close()
        if self._store is not None:
            self._store.close()
            self._store = None

    async def _search(self, key: str, query: str, k: int) -> list[Hit]:
        hits = await self._inner.search(query, k)
        self._save(key, query, k, hits)
        return hits

    def _finished(self, key: str, task: asyncio.Task[list[Hit]]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # seen here, in case every caller was cancelled meanwhile

    # SQLite is called on the event loop: reading takes microseconds, and under WAL never waits for a writer.

    def _load(self, key: str) -> list[Hit] | None:
        try:
            if (store := self._opened()) is None:
                return None
            row = store.execute("SELECT hits FROM results WHERE key = ?", (key,)).fetchone()
            return None if row is None else [Hit(*hit) for hit in parse(row[0])]
        except (sqlite3.Error, OSError, ValueError, TypeError) as error:  # Value-, TypeError: not what we wrote
            self._give_up(error)
            return None

    def _save(self, key: str, query: str, k: int, hits: list[Hit]) -> None:
        row = (key, self.fingerprint, json.dumps(query), k, json.dumps([[h.title, h.text, h.score] for h in hits]))
        try:
            if (store := self._opened()) is not None:
                store.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", row)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _opened(self) -> sqlite3.Connection | None:
        if self._store is None and self._usable:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._store = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._store.execute("PRAGMA journal_mode=WAL")
            self._store.execute("PRAGMA synchronous=NORMAL")  # survives the death of a process, not a power cut
            self._store.execute(_TABLE)
            self._forget_what_was_not_understood(self._store)
        return self._store

    def _forget_what_was_not_understood(self, store: sqlite3.Connection) -> None:
        if store.execute("PRAGMA user_version").fetchone()[0] >= _VERSION:
            return
        store.execute("BEGIN IMMEDIATE")
        forgotten = store.execute("DELETE FROM results WHERE hits = '[]'").rowcount
        store.execute(f"PRAGMA user_version = {_VERSION}")
        store.execute("COMMIT")
        if forgotten:
            logger.warning(
                "Search cache %s: %d searches were kept as 'nothing found' by a version that kept replies it did not "
                "understand so; they are asked again.",
                self._path,
                forgotten,
            )

    def _give_up(self, error: Exception) -> None:
        self._usable = False
        if self._store is not None:
            self._store.close()
            self._store = None
        logger.warning("Search cache %s: cannot be used (%s). Searches go on without it.", self._path, error)
