"""The state machine that gives out rows: who runs what now, what came of it, and what is no longer needed.

Lines of rows come in, with what is written of them; workers take rows and report. Nothing here waits, runs or writes:
it is driven by an actor (stages.actors.dispatcher), and in the same way by a loop on a virtual clock.

    planned = written + pending + skipped, and a row is held by one worker at a time.

    ready -> held by a worker -> finished -> written
      ^           |
      +-----------+  given up, or its worker died or fell silent
                  |  the 5th death in which it got no further: it is tried alone
                  |  from the 6th on, once 3 were alone: quarantined -> written as failed, by whoever asks first
    ready, held -> skipped, once an earlier row of its line or enough rows of its method are accepted
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from fireact_ray.rollouts.plan import Line, Planned, Policy

_SUSPECT_AFTER = 5  # deaths of workers in which a row got no further, before it is tried alone
_QUARANTINE_AFTER = 3  # deaths of workers in which it was alone
_LEAST_RATE = 0.05  # of acceptance, for guessing how many rollouts a target still needs
_ASSUMED = 2  # accepted rollouts each method is taken to have had: at first no more are begun than are missing
_METHODS_OF = 1000  # rows that are next: rows of all methods are among them


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a row ended in a worker; it counts once it is reported as written."""

    trajectory_id: str
    accepted: bool
    failure: str = ""  # outside the agent (see rollouts.failure_streak); empty: none


@dataclass(slots=True)
class _Held:
    line: Line
    index: int
    finished: bool = False
    quarantined: bool = False

    @property
    def row(self) -> Planned:
        return self.line[self.index]


class Schedule:
    """`accepted_before`: by method, what earlier sessions wrote."""

    def __init__(self, policy: Policy, accepted_before: Counter[str] | None = None) -> None:
        self._policy = policy
        self._ready: deque[_Held] = deque()
        self._held: dict[str, dict[str, _Held]] = {}  # worker -> key -> row; a finished one until it is written
        self._deaths: Counter[str] = Counter()  # by key
        self._deaths_alone: Counter[str] = Counter()
        self._suspects: deque[_Held] = deque()
        self._alone: set[str] = set()  # workers that run a suspect
        self._quarantined: deque[_Held] = deque()
        self._accepted = Counter(accepted_before or {})
        self._accepted_now: Counter[str] = Counter()  # in this session, by method
        self._tried: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._credited: set[str] = set()  # finished, not written: not to be counted again when they run again
        self.n_finished = 0
        self.n_accepted = 0

    def add(self, line: Line, written: Sequence[bool | None]) -> None:
        """One line of the plan, and per row: accepted, not accepted, or None where it is not written."""
        # Rows that failed and are retried stand among others that are written.
        pending = tuple(row for row, state in zip(line, written, strict=True) if state is None)
        if pending and not any(written):
            self._ready.append(_Held(pending, 0))

    @property
    def n_ready(self) -> int:
        return len(self._ready)

    @property
    def n_open(self) -> int:
        """Rows that wait or run, of a line the one that is next; not more than the target is likely to need."""
        held = sum(not entry.finished for rows in self._held.values() for entry in rows.values())
        n_open = len(self._ready) + len(self._suspects) + held
        if self._policy.target_accepted is None:
            return n_open
        methods = {*self._running, *(entry.row.method for entry in islice(self._ready, _METHODS_OF))}
        return min(n_open, sum(self._needed(method) for method in methods))

    @property
    def is_idle(self) -> bool:
        """Nothing is held and nothing could be given out."""
        self._drop_skipped()
        return not (self._ready or self._suspects or self._quarantined or any(self._held.values()))

    def take(self, worker: str, n: int) -> list[Planned]:
        """Up to `n` rows for a worker to begin."""
        held = self._held.setdefault(worker, {})
        if worker in self._alone:
            return []
        if self._suspects and not held:
            self._ready.appendleft(self._suspects.popleft())
            self._alone.add(worker)
            n = min(n, 1)
        taken: list[Planned] = []
        waiting: list[_Held] = []
        while self._ready and len(taken) < n:
            entry = self._ready.popleft()
            if self._satisfied(entry.row.method):
                self._next_of(entry)
            elif not self._wanted(entry.row.method):
                waiting.append(entry)
            else:
                held[entry.row.trajectory_id] = entry
                self._running[entry.row.method] += 1
                taken.append(entry.row)
        self._ready.extendleft(reversed(waiting))
        return taken

    def take_quarantined(self, worker: str) -> list[Planned]:
        """Rows that have killed a worker alone again and again, to be written as failed by whoever asks first."""
        quarantined, self._quarantined = list(self._quarantined), deque()
        for entry in quarantined:
            self._held.setdefault(worker, {})[entry.row.trajectory_id] = entry
        return [entry.row for entry in quarantined]

    def finished(self, worker: str, receipts: Iterable[Receipt]) -> None:
        """Rows that have ended; what follows in their lines becomes ready."""
        for receipt in receipts:
            entry = self._held.get(worker, {}).get(receipt.trajectory_id)
            if entry is None or entry.finished:
                continue
            entry.finished = True
            method = entry.row.method
            self._running[method] -= 1
            if receipt.trajectory_id in self._credited:
                continue
            self._credited.add(receipt.trajectory_id)
            self._tried[method] += 1
            self._accepted[method] += receipt.accepted
            self._accepted_now[method] += receipt.accepted
            self.n_finished += 1
            self.n_accepted += receipt.accepted
            if not receipt.accepted:
                self._next_of(entry)

    def written(self, worker: str, keys: Iterable[str]) -> None:
        """Rows that are on disk: nothing can take them back."""
        for key in keys:
            self._held.get(worker, {}).pop(key, None)
            self._credited.discard(key)
            self._deaths.pop(key, None)
        self._alone.discard(worker)

    def returned(self, worker: str, keys: Iterable[str]) -> None:
        """Rows that a worker has given up: they are pending again, unless they are no longer needed."""
        for key in keys:
            entry = self._held.get(worker, {}).pop(key, None)
            if entry is not None:
                self._running[entry.row.method] -= not entry.finished
                self._ready.appendleft(_Held(entry.line, entry.index))

    def held(self, worker: str) -> frozenset[str]:
        """Keys of the rows that a worker has and that are not written."""
        return frozenset(self._held.get(worker, ()))

    def lost(self, worker: str, got_further: Container[str] = ()) -> None:
        """A worker has died: all it held is pending again. Rows that `got_further` in its life did not kill it."""
        held = self._held.pop(worker, {})
        self._alone.discard(worker)
        begun = [key for key, entry in held.items() if not entry.finished]
        for key, entry in held.items():
            self._running[entry.row.method] -= not entry.finished
            again = _Held(entry.line, entry.index)
            if entry.quarantined:
                self._quarantined.append(entry)
                continue
            if entry.finished or key in got_further:
                self._ready.appendleft(again)
                continue
            self._deaths[key] += 1
            self._deaths_alone[key] += begun == [key]
            if self._deaths_alone[key] >= _QUARANTINE_AFTER and self._deaths[key] > _SUSPECT_AFTER:
                self._quarantined.append(_Held(entry.line, entry.index, finished=True, quarantined=True))
                self._next_of(entry)
            elif self._deaths[key] >= _SUSPECT_AFTER:
                self._suspects.append(again)
            else:
                self._ready.appendleft(again)

    def skipped(self) -> frozenset[str]:
        """Methods of which enough is accepted: what runs of them may stop."""
        return frozenset(method for method in self._accepted if self._satisfied(method))

    def _satisfied(self, method: str) -> bool:
        target = self._policy.target_accepted
        return target is not None and self._accepted[method] >= target

    def _wanted(self, method: str) -> bool:
        """Not more at a time than the target is likely to need, so that few rollouts are paid for in vain."""
        if self._policy.target_accepted is None:
            return True
        return self._running[method] < self._needed(method)

    def _needed(self, method: str) -> int:
        """Rollouts that a target is likely to need from now on."""
        rate = (self._accepted_now[method] + _ASSUMED) / (self._tried[method] + _ASSUMED)
        missing = (self._policy.target_accepted or 0) - self._accepted[method]
        return max(0, math.ceil(missing / max(rate, _LEAST_RATE)))

    def _next_of(self, entry: _Held) -> None:
        if entry.index + 1 < len(entry.line):
            self._ready.appendleft(_Held(entry.line, entry.index + 1))

    def _drop_skipped(self) -> None:
        while self._ready and self._satisfied(self._ready[0].row.method):
            self._next_of(self._ready.popleft())
