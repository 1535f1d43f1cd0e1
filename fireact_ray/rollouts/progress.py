"""A run's progress: shown where it runs, and written to progress.json for whoever looks from elsewhere."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass, fields
from types import TracebackType

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.progress import Steps

FILE = "progress.json"
_WRITE_EVERY_S = 5.0
_RATE_OVER_S = 60.0
_SILENT_S = 60.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Of this session of the run: `before` rows were written before it, `done` since, `accepted` of those are worth
    training on. Times are seconds since the epoch; `rows_per_minute` is over the last minute."""

    label: str
    started_at: float
    updated_at: float
    planned: int
    before: int
    done: int
    accepted: int
    rows_per_minute: float
    eta_s: float | None
    running: bool

    def silent_for_s(self, now: float) -> float | None:
        """None where the run gives signs of life, or has ended in order."""
        silent_s = now - self.updated_at
        return silent_s if self.running and silent_s > _SILENT_S else None

    def is_live(self, now: float) -> bool:
        return self.running and self.silent_for_s(now) is None


class LiveProgress:
    """`with LiveProgress("generate", home, n_pending, n_before) as progress: progress.set(n_finished, n_accepted)`."""

    def __init__(self, label: str, home: Folder, n_rows: int, n_before: int) -> None:
        self._label, self._home, self._n_rows, self._n_before = label, home, n_rows, n_before
        self._steps = Steps(label, n_rows)
        self._started = time.time()
        self._written = 0.0
        self._seen: deque[tuple[float, int]] = deque([(self._started, 0)])
        self._done = self._accepted = 0

    def __enter__(self) -> LiveProgress:
        self._steps.__enter__()
        self._write(running=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._steps.__exit__(kind, error, tb)
        self._write(running=False)

    def set(self, done: int, accepted: int) -> None:
        self._done, self._accepted = done, accepted
        self._steps.set(done, self._n_rows, f"{accepted} accepted")
        now = time.time()
        self._seen.append((now, done))
        while now - self._seen[0][0] > _RATE_OVER_S:
            self._seen.popleft()
        if now - self._written >= _WRITE_EVERY_S:
            self._write(running=True)

    def _write(self, running: bool) -> None:
        now = self._written = time.time()
        since, then = self._seen[0]
        per_minute = 60 * (self._done - then) / max(now - since, 1e-9)
        progress = Progress(
            label=self._label,
            started_at=self._started,
            updated_at=now,
            planned=self._n_before + self._n_rows,
            before=self._n_before,
            done=self._done,
            accepted=self._accepted,
            rows_per_minute=per_minute,
            eta_s=60 * (self._n_rows - self._done) / per_minute if running and per_minute else None,
            running=running,
        )
        self._home.write_json(FILE, asdict(progress))


def read_progress(run: Folder) -> Progress | None:
    """None where the run wrote no progress."""
    if not run.exists(FILE):
        return None
    found = run.read_json(FILE)
    return Progress(**{field.name: found[field.name] for field in fields(Progress)})
