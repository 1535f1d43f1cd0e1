"""Give the rows of a run to its workers and hear what came of them: the schedule, and what the journals hold of each
pending row.

It is a Source (rollouts.pool) for many pools, one per worker. A worker that dies comes back under its own number with a
new writer's name, and one that falls silent loses its rows to the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import ObservationStatus
from fireact_ray.rollouts.completed import read_written
from fireact_ray.rollouts.failure_streak import Streak
from fireact_ray.rollouts.journal import Entry, read_journal
from fireact_ray.rollouts.plan import Line, Policy
from fireact_ray.rollouts.pool import Assignment, Order, Report
from fireact_ray.rollouts.schedule import Receipt, Schedule

_OPEN_ROWS = 10_000  # the lines of a rollout stand among those of the rollouts that were open with it
_SILENT_S = 30.0  # a pool reports every half second


@dataclass(frozen=True, slots=True)
class Counts:
    """Of this session. `error`: why the run stops; `joined`: pools that have come and were not told to leave; `open`:
    rows that wait or run."""

    finished: int
    accepted: int
    over: bool
    error: FireActError | None
    joined: int
    open: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """Pools that get no more rows: `gone` never came, `ending` finish what they have."""

    gone: tuple[str, ...]
    ending: tuple[str, ...]


class Dispatch:
    """`home`: the folder with trajectories/ and journal/. `n_workers`: those that will come. `recording`: another run's
    folder, that answers all calls."""

    def __init__(
        self,
        home: Folder,
        policy: Policy,
        n_workers: int,
        recording: Folder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.written, accepted = read_written(home / "trajectories")
        self._journal, self._n_workers, self._clock = home / "journal", n_workers, clock
        self._schedule = Schedule(policy, accepted)
        # A recording repeats its failures.
        self._streak = Streak(is_first=not len(self.written)) if recording is None else None
        self._paid: dict[str, dict[str, Entry]] = {}
        self._writers: dict[str, str] = {}
        self._heard_of: dict[str, float] = {}
        self._leaving: set[str] = set()
        self._all_fed = False
        self._error: FireActError | None = None
        self._gives_up = False
        if recording is not None:
            self._remember(read_journal(recording / "journal"))
        is_done = lru_cache(_OPEN_ROWS)(self.written.__contains__)
        self._remember(read_journal(self._journal, wanted=lambda key: not is_done(key)))

    def feed(self, lines: Iterable[tuple[Line, list[bool | None]]]) -> int:
        """Lines of the plan, with what is written of them; returns how many rows now wait."""
        for line, states in lines:
            self._schedule.add(line, states)
        return self._schedule.n_ready

    def fed(self) -> None:
        """There are no further lines."""
        self._all_fed = True

    def halt(self, error: FireActError) -> None:
        """Let nothing more begin."""
        self._error = self._error or error

    def give_up(self) -> None:
        """Let nothing go on: only what has finished is still written."""
        self._gives_up = True

    def expect(self, n_workers: int) -> None:
        """So many pools share what waits from now on."""
        self._n_workers = n_workers

    def leave(self, workers: Sequence[str], n: int) -> Leaving:
        """Let `n` of these pools get no more rows: those that have not come, then those that hold least."""
        staying = [worker for worker in workers if worker not in self._leaving]
        chosen = sorted(staying, key=lambda worker: (worker in self._writers, len(self._schedule.held(worker))))[:n]
        self._leaving.update(chosen)
        return Leaving(
            tuple(worker for worker in chosen if worker not in self._writers),
            tuple(worker for worker in chosen if worker in self._writers),
        )

    def join(self, worker: str, writer: str) -> None:
        """A worker begins; what it held in an earlier life is pending again."""
        self._lose(worker)
        self._writers[worker] = writer
        self._heard_of[worker] = self._clock()

    def exchange(self, worker: str, report: Report, room: int) -> Order:
        self._heard_of[worker] = self._clock()
        schedule = self._schedule
        schedule.finished(worker, report.finished)
        self._watch(report.finished)
        schedule.written(worker, report.written)
        schedule.returned(worker, report.returned)
        for key in report.written:
            self._paid.pop(key, None)
        if report.error is not None:
            self.halt(report.error)
        if self._error is not None or self._gives_up:
            return Order(halt=True, give_up=self._gives_up)
        if worker in self._leaving:
            return Order(skipped=schedule.skipped(), halt=True)
        self._lose_the_silent()
        # No pool takes more than half of its share of what waits, so that all end at about the same time.
        share = -(-schedule.n_ready // (2 * self._n_workers))
        rows = schedule.take(worker, max(1, min(room, share))) if room > 0 else []
        return Order(
            tuple(Assignment(row, self._paid.get(row.trajectory_id, {})) for row in rows),
            tuple(schedule.take_quarantined(worker)) if room > 0 else (),
            schedule.skipped(),
            over=self._is_over,
        )

    def counts(self) -> Counts:
        over = self._is_over
        error = self._error or (self._streak.stops(at_end=True) if over and self._streak else None)
        return Counts(
            self._schedule.n_finished,
            self._schedule.n_accepted,
            over,
            error,
            len(self._writers.keys() - self._leaving),
            self._schedule.n_open,
        )

    def _watch(self, receipts: Iterable[Receipt]) -> None:
        """Stop the run where the same failure hits row after row: what is under way would only fail as well."""
        if self._streak is None:
            return
        for receipt in receipts:
            self._streak.add(receipt.failure)
            if self._error is None and (stopped := self._streak.stops()) is not None:
                self.halt(stopped)
                self.give_up()

    @property
    def _is_over(self) -> bool:
        return self._all_fed and self._schedule.is_idle

    def _lose_the_silent(self) -> None:
        now = self._clock()
        for worker in [worker for worker, at in self._heard_of.items() if now - at > _SILENT_S]:
            self._lose(worker)
            del self._heard_of[worker]

    def _lose(self, worker: str) -> None:
        held = self._schedule.held(worker)
        entries = list(read_journal(self._journal, self._writers[worker], held.__contains__)) if held else []
        self._remember(entries)
        self._schedule.lost(worker, {entry.trajectory_id for entry in entries})

    def _remember(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            known = self._paid.setdefault(entry.trajectory_id, {})
            if entry.call not in known or not _serves(known[entry.call]):
                known[entry.call] = entry


def _serves(entry: Entry) -> bool:
    """A call that failed in one session and was answered in another stands in two files, which have no order."""
    return entry.reply is not None and entry.reply.get("status") != ObservationStatus.ERROR
