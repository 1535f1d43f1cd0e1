"""Why a worker of Ray Train saves or stops between two checkpoints: the driver asks, a SIGTERM, a node is drained."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ray.exceptions import RayError
from ray.train.v2._internal.execution.callback import WorkerCallback
from ray.train.v2._internal.execution.context import get_train_context

from fireact_ray.stages.actors.noticeboard import Noticeboard
from fireact_ray.training.wish import Wish

_POLL_S = 1.0


class _Sigterm:
    """Of this process. While a training runs the first one is noted; any other is Ray's, by which it ends workers."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.is_training = False
        self._before: Any = signal.SIG_DFL

    def install(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.is_training and not self.came.is_set():
            self.came.set()
        elif callable(self._before):
            self._before(number, frame)


_sigterm = _Sigterm()


class HeedSigterm(WorkerCallback):
    """Handlers are the main thread's, in which Ray Train calls this; a training runs in another one."""

    def after_init_train_context(self) -> None:
        _sigterm.install()


@contextmanager
def sigterm_heeded() -> Iterator[Callable[[], bool]]:
    """Around a training in a worker. Gives a function that says whether one came."""
    _sigterm.is_training = True
    try:
        yield _sigterm.came.is_set
    finally:
        _sigterm.is_training = False


class Wishes:
    """What this worker wishes after a step. `leads`: it asks the driver, too, and tells it that a step is taken."""

    def __init__(self, board: Noticeboard, *, leads: bool) -> None:
        self._board = board
        self._leads = leads
        self._has_begun = False
        self._is_asked_to_stop = threading.Event()
        self._drained: object = None

    def __call__(self) -> Wish:
        if self._leads and not self._has_begun:
            self._has_begun = True
            self._board.post("first step", None)
            threading.Thread(target=self._ask, name="ask-to-stop", daemon=True).start()
        if self._is_asked_to_stop.is_set() or _sigterm.came.is_set():
            return Wish.STOP
        # Not ray.train.get_preemption_info, for which all workers wait, at every step.
        drained = get_train_context().preemption_context.preemption_info
        if drained is not None and drained != self._drained:  # Ray Train ends the workers when the time is over
            self._drained = drained
            return Wish.SAVE
        return Wish.NOTHING

    def _ask(self) -> None:
        over = threading.Event()
        while not over.wait(_POLL_S):
            try:
                if self._board.is_asked_to_stop():
                    self._is_asked_to_stop.set()
                    return
            except RayError:  # the driver has gone, and we go with it
                return
