"""Entries on their way to trackers, in a thread of their own: a tracker that is slow or fails holds up no training."""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fireact_ray.training.trackers.base import Outcome, Tracker

log = logging.getLogger(__name__)

_POSITION = ("step", "of")  # what a tracker counts by, or need not know
_ENDING_S = 60.0  # how long trackers may take for what is still to be told, when the training is over


class Sender:
    """What it is put is told to all trackers; what could not be told is counted and said when it is closed.

    `told_to`: entries up to this step were told by an earlier session. No step is told again: neither these nor those
    that workers take a second time after one of them was lost.
    """

    def __init__(self, trackers: Mapping[str, Tracker], told_to: int = 0, ending_s: float = _ENDING_S) -> None:
        self._trackers, self._told_to, self._ending_s = trackers, told_to, ending_s
        self._waiting: queue.SimpleQueue[tuple[int, dict[str, float]] | None] = queue.SimpleQueue()
        self._failed: Counter[str] = Counter()
        self._last_words: dict[str, str] = {}
        self._outcome: Outcome = "failed"
        self._thread = threading.Thread(target=self._send, name="trackers", daemon=True)

    def start(self) -> None:
        """What is put before waits."""
        self._thread.start()

    def put(self, entry: Mapping[str, Any]) -> None:
        """Its numbers by their names; texts stay here."""
        if self._trackers and entry["step"] > self._told_to:
            self._waiting.put((entry["step"], numbers(entry)))
            self._told_to = entry["step"]

    def put_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Told at the step of the newest entry, since trackers do not go back."""
        if self._trackers:
            self._waiting.put((self._told_to, numbers(metrics)))

    def close(self, outcome: Outcome) -> None:
        """Waits until all is told and the trackers' runs are closed, but not for ever."""
        self._outcome = outcome
        if not self._thread.is_alive():  # it never began: one of them could not be opened
            self._end_all()
            return
        self._waiting.put(None)
        self._thread.join(self._ending_s)
        if self._thread.is_alive():
            names, left = ", ".join(self._trackers), self._waiting.qsize()
            log.warning(
                "trackers (%s) did not end within %.0f s: %d entries were not told", names, self._ending_s, left
            )
        for name, count in self._failed.items():
            log.warning("tracker %s failed %d times, at last: %s", name, count, self._last_words[name])

    def _send(self) -> None:
        while (item := self._waiting.get()) is not None:
            step, values = item
            for name, tracker in self._trackers.items():
                self._try(name, partial(tracker.log, step, values))
        self._end_all()

    def _end_all(self) -> None:
        for name, tracker in self._trackers.items():
            self._try(name, partial(tracker.end, self._outcome))

    def _try(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 (whatever a tracker's library raises, the training goes on)
            if not self._failed[name]:
                log.warning("tracker %s: %s. The training goes on; log.jsonl holds all", name, words_of(error))
            self._failed[name] += 1
            self._last_words[name] = words_of(error)


def numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    """What trackers can draw: finite numbers, but for the position."""
    return {
        name: float(value)
        for name, value in entry.items()
        if name not in _POSITION and isinstance(value, (int, float)) and math.isfinite(value)
    }


def words_of(error: Exception) -> str:
    """In one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
