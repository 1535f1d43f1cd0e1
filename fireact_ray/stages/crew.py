"""The workers of a run: as many actors as it has use for now.

An actor that finds no room waits, and what waits is what an autoscaler sees and adds nodes for. One that leaves gets no
more rows, finishes what it has and ends, so that its node falls idle and goes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from fireact_ray.recipe.workers import WorkerRange
from fireact_ray.rollouts.dispatcher import Leaving
from fireact_ray.stages.actors.rollout_worker import RolloutWorker, WorkerSettings

WORKER_CPUS = 0.5
ELSEWHERE = {"fireact/for": "!gpus"}  # where nodes with GPUs say so, workers without one leave them to who needs one

logger = logging.getLogger(__name__)


class Crew:
    """`label`: of the run, in the log; `workers`: how many at least and at most."""

    def __init__(self, label: str, workers: WorkerRange, num_gpus: float) -> None:
        options: dict[str, Any] = {"max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": "SPREAD"}
        if not num_gpus:
            options["label_selector"] = ELSEWHERE
        self._actor = ray.remote(RolloutWorker).options(num_cpus=WORKER_CPUS, num_gpus=num_gpus, **options)
        self.needs = {"CPU": WORKER_CPUS, "GPU": num_gpus}
        self._label, self._n_begun = label, 0
        self._actors: dict[str, Any] = {}
        self._running: dict[Any, str] = {}  # what its `run` returns -> worker
        self._staying: list[str] = []
        self._add(workers.min)

    @property
    def is_running(self) -> bool:
        return bool(self._running)

    def begin(self, settings: WorkerSettings, dispatcher: Any) -> None:
        """Their processes have been starting since the crew was made; from here on they ask for rows."""
        self._settings, self._dispatcher = settings, dispatcher
        self._run(self._staying)

    def wait(self, timeout_s: float) -> None:
        """Until all have ended, or so long. Raises what a worker raises."""
        if not self._running:
            return
        ended, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=timeout_s)
        for run in ended:
            worker = self._running.pop(run)
            ray.get(run)
            self._dismiss(worker)

    def settle(self, timeout_s: float) -> None:
        """Give those that have come so long to end: killed while it runs, Ray would complain."""
        self._let_go(len(self._staying))
        if self._running:
            ray.wait(list(self._running), num_returns=len(self._running), timeout=timeout_s)

    def resize(self, n: int) -> None:
        """So many from now on: new ones are asked for at once, others let go as they end."""
        now = len(self._staying)
        if n > now:
            logger.info("%s: %d workers asked for, %d so far", self._label, n, now)
            self._run(self._add(n - now))
        elif n < now:
            logger.info("%s: %d workers are enough: %d leave", self._label, n, now - n)
            self._let_go(now - n)
        else:
            return
        ray.get(self._dispatcher.expect.remote(n))

    def close(self) -> None:
        for worker in list(self._actors):
            self._dismiss(worker)

    def _add(self, n: int) -> list[str]:
        """A worker that dies is started again under its name, wherever there is room."""
        added = [f"w{self._n_begun + i}" for i in range(n)]
        self._n_begun += n
        self._actors.update((worker, self._actor.remote()) for worker in added)
        self._staying += added
        return added

    def _run(self, workers: list[str]) -> None:
        for worker in workers:
            run = self._actors[worker].run.remote(self._settings, worker, self._dispatcher)
            self._running[run] = worker

    def _let_go(self, n: int) -> None:
        """Those that have not come hold nothing, and end at once."""
        leaving: Leaving = ray.get(self._dispatcher.leave.remote(self._staying, n))
        self._staying = [worker for worker in self._staying if worker not in {*leaving.gone, *leaving.ending}]
        self._running = {run: worker for run, worker in self._running.items() if worker not in leaving.gone}
        for worker in leaving.gone:
            self._dismiss(worker)

    def _dismiss(self, worker: str) -> None:
        ray.kill(self._actors.pop(worker))


@contextmanager
def crew(label: str, workers: WorkerRange, num_gpus: float) -> Iterator[Crew]:
    made = Crew(label, workers, num_gpus)
    try:
        yield made
    finally:
        made.close()
