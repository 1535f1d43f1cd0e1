"""Which checkpoints of a training are examined, and when: one at a time, the newest that is due; no worker waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ray.exceptions import RayError

from fireact_ray.core.errors import FireActError
from fireact_ray.training.progress.entries import AgentMetrics

_ENDING_S = 5.0

logger = logging.getLogger(__name__)


class Examiner:
    """`examine`: the metrics of the checkpoint after a step; called in a thread of its own, one call at a time. `tell`
    is called there with them."""

    def __init__(
        self, examine: Callable[[int], AgentMetrics], every_steps: int, tell: Callable[[AgentMetrics], None]
    ) -> None:
        self._examine, self._every, self._tell = examine, every_steps, tell
        self._changed = threading.Condition()
        self._due: int | None = None
        self._newest = 0  # that was due
        self._over = False
        self._n_passed_over = self._n_failed = 0
        self._thread = threading.Thread(target=self._run, name="examiner", daemon=True)
        self._thread.start()

    def checkpoint(self, step: int) -> None:
        """It is there. One that waits while it comes is passed over."""
        with self._changed:
            if step % self._every or step <= self._newest:  # taken again, after a worker was lost
                return
            self._n_passed_over += self._due is not None
            self._due = self._newest = step
            self._changed.notify()

    def ends_within(self, seconds: float) -> bool:
        """Whether by then nothing is due or at work any more; from now on nothing comes."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self) -> None:
        """What is due is left out; what is at work has to be ended before."""
        with self._changed:
            self._due, self._over = None, True
            self._changed.notify()
        self._thread.join(_ENDING_S)
        if self._n_passed_over or self._n_failed:
            logger.warning(
                "train: of the checkpoints that evaluate_agent asks for, %d could not be examined and %d were passed "
                "over, as a newer one came before their turn",
                self._n_failed,
                self._n_passed_over,
            )

    def _run(self) -> None:
        while (step := self._next()) is not None:
            try:
                self._tell(self._examine(step))
            except (FireActError, RayError) as error:
                self._n_failed += 1
                logger.warning("train: the agent after step %d was not evaluated: %s", step, words_of(error))

    def _next(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._due is not None or self._over)
            step, self._due = self._due, None
        return step


def words_of(error: Exception) -> str:
    """The last line: a task's error begins with where it was raised."""
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
