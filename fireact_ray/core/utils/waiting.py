"""What a run waits for is said, after ten seconds and then every minute, so that nobody takes a wait for a hang."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FIRST_S = 10.0
_AGAIN_S = 60.0
_LOOK_S = 1.0

logger = logging.getLogger(__name__)


class Waiting:
    """`look()` as often as you like. `what`: says what is waited for, or None where nothing is, which ends the wait."""

    def __init__(self, label: str, what: Callable[[], str | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._label, self._what, self._clock = label, what, clock
        self._since = clock()
        self._due = self._since + _FIRST_S

    def look(self) -> None:
        """Log a line where it is time for one."""
        now = self._clock()
        if now < self._due:
            return
        if (what := self._what()) is None:
            self._since, self._due = now, now + _FIRST_S
            return
        self._due = now + _AGAIN_S
        logger.info("%s: waiting for %s, %.0f s", self._label, what, now - self._since)


@contextmanager
def said_while_waiting(label: str, what: Callable[[], str | None]) -> Iterator[None]:
    """Looks from a thread, while this one is blocked by what is inside."""
    with looking(Waiting(label, what).look):
        yield


@contextmanager
def looking(look: Callable[[], None]) -> Iterator[None]:
    """Calls `look` every second, from a thread, until what is inside ends."""
    over = threading.Event()

    def look_again() -> None:
        while not over.wait(_LOOK_S):
            look()

    looker = threading.Thread(target=look_again, name="waiting", daemon=True)
    looker.start()
    try:
        yield
    finally:
        over.set()
        looker.join()
