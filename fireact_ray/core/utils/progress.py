"""Progress of long work: a live bar on a terminal, a plain line every few seconds in a log."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_LOG_EVERY_S = 10.0

logger = logging.getLogger(__name__)


class Steps:
    """`with Steps("generate", total) as steps: steps.advance("410 finished")`."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._done, self._note = label, total, 0, ""
        self._logged = self._started = time.monotonic()
        self._bar = _bar() if Console(file=sys.stderr).is_terminal else None

    def __enter__(self) -> Steps:
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, note="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        else:
            self._log()

    def advance(self, note: str = "", n: int = 1) -> None:
        self.set(self._done + n, self._total, note)

    def set(self, done: int, total: int, note: str = "") -> None:
        self._done, self._total, self._note = done, total, note
        if self._bar:
            self._bar.update(self._task, completed=done, total=total, note=note)
        elif time.monotonic() - self._logged >= _LOG_EVERY_S:
            self._log()

    def _log(self) -> None:
        self._logged = time.monotonic()
        seconds = self._logged - self._started
        logger.info("%s: %d of %d, %.0f s %s", self._label, self._done, self._total, seconds, self._note)


def _bar() -> Progress:
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=sys.stderr),
    )
