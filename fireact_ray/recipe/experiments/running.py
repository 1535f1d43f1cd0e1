"""The tasks of a graph, each behind those that it needs, some side by side. A failure stops what needs it, no more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from fireact_ray.core.errors import FireActError
from fireact_ray.recipe.experiments.graph import Graph, Task

_LOOK_S = 1.0  # an interrupt is heeded between two looks

Run = Callable[[Task], None]

logger = logging.getLogger(__name__)


def run_tasks(
    graph: Graph, run: Run, failed: Mapping[str, str], at_once: int = 1, stop: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """Why tasks failed, by their ids. `failed`: what failed before in another graph, and is not tried again.

    With `at_once` 1 all run here, in order; above that in as many threads, and `stop` ends them where the command is
    interrupted.
    """
    board = _Board(graph, dict(failed))
    if at_once == 1:
        while task := board.next():
            board.ended(task, _try(run, task))
    else:
        with ThreadPoolExecutor(at_once, "task") as pool:
            _side_by_side(board, run, pool, at_once, stop)
    return board.failures


class _Board:
    """Which task is next. Not thread-safe: it is the caller's."""

    def __init__(self, graph: Graph, failed: dict[str, str]) -> None:
        self._graph, self._known = graph, failed
        self._waiting = dict(graph.tasks)
        self._done: set[str] = set()
        self.failures = {task: reason for task, reason in failed.items() if task in graph.tasks}

    def next(self) -> Task | None:
        """The first whose needs are done; None where there is none now."""
        for task in list(self._waiting.values()):
            if reason := self._known.get(task.id) or next(filter(None, map(self._known.get, task.needs)), None):
                self._fail(task, reason)
                logger.warning("experiment: %s is left out: what it needs failed", task.id)
            elif self._done.issuperset(task.needs):
                del self._waiting[task.id]
                logger.info("experiment: task %d of %d, %s", self._number(), len(self._graph.tasks), task.id)
                return task
        return None

    def ended(self, task: Task, failure: str | None) -> None:
        if failure is None:
            self._done.add(task.id)
        else:
            self._fail(task, failure)
            logger.error("experiment: %s: %s", task.id, failure)

    def _fail(self, task: Task, reason: str) -> None:
        self._waiting.pop(task.id, None)
        self._known[task.id] = self.failures[task.id] = reason

    def _number(self) -> int:
        return len(self._graph.tasks) - len(self._waiting)


def _try(run: Run, task: Task) -> str | None:
    """Why it failed. An error of the program is one, too, as it is where tasks run in processes of their own."""
    try:
        run(task)
    except FireActError as error:
        return f"{task.kind} failed: {error}"
    except Exception as error:
        logger.exception("experiment: %s", task.id)
        return f"{task.kind} failed by an error of the program: {type(error).__name__}: {error}"
    return None


def _side_by_side(board: _Board, run: Run, pool: ThreadPoolExecutor, at_once: int, stop: Callable[[], None]) -> None:
    running: dict[Future[str | None], Task] = {}
    try:
        while True:
            while len(running) < at_once and (task := board.next()):
                running[pool.submit(_try, run, task)] = task
            if not running:
                return
            ended, _ = wait(running, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                board.ended(running.pop(future), future.result())
    except BaseException:
        stop()
        raise
