"""The plan to the dispatcher: by this process what it can hold ready, by Ray Data the rest.

Ray Data begins when a coordinator of its own has started and answered, which takes minutes on a busy machine. The first
rows do not wait for that, and a run that has no others never asks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.exceptions import RayTaskError

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.rollouts.completed import Written
from fireact_ray.rollouts.plan import PLAN
from fireact_ray.stages.ray_data import ray_data
from fireact_ray.stages.ray_session import own_error

_WAITING_ROWS = 20_000  # rows that the dispatcher holds ready; the rest stays in the plan
_BATCH_ROWS = 2_000
_POLL_S = 0.5
_ENDING_S = 5.0

logger = logging.getLogger(__name__)


class Feed:
    """A thread's work. `waits_for`: what holds up the rows that were not fed yet."""

    def __init__(self, home: Folder, dispatcher: Any, only: frozenset[str] | None) -> None:
        self._home, self._dispatcher, self._only = home, dispatcher, only
        self.waits_for: str | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        try:
            self._feed()
        except Exception as error:  # noqa: BLE001 (a run must not wait for a thread that has died)
            if self.stop.is_set():  # what it talks to has been killed
                return
            cause = error.cause if isinstance(error, RayTaskError) else error
            problem = own_error(error) or DataError(f"The plan {self._home.uri}/{PLAN} could not be read: {cause!r}")
            ray.get(self._dispatcher.halt.remote(problem))

    def _feed(self) -> None:
        mark = MarkWritten(ray.put(ray.get(self._dispatcher.written.remote())), self._only)
        first, rest_from = first_lines(_first_rows(self._home, _WAITING_ROWS), _WAITING_ROWS)
        for at in range(0, first.num_rows, _BATCH_ROWS):
            ray.get(self._dispatcher.feed.remote(mark(first.slice(at, _BATCH_ROWS))))
        if rest_from is not None:
            self._stream(replace(mark, from_line=rest_from))
        if not self.stop.is_set():
            ray.get(self._dispatcher.fed.remote())

    def _stream(self, mark: MarkWritten) -> None:
        self.waits_for = "Ray Data to start"
        filesystem, path = (self._home / PLAN).where
        # A fraction of a CPU each: on a small machine the workers hold the rest.
        plan = (
            ray_data()
            .read_parquet(path, filesystem=filesystem, num_cpus=0.1)
            .map_batches(mark, batch_format="pyarrow", batch_size=_BATCH_ROWS, num_cpus=0.1)
        )
        for batch in plan.iter_batches(batch_format="pyarrow", batch_size=_BATCH_ROWS):
            self.waits_for = None
            n_waiting = ray.get(self._dispatcher.feed.remote(batch))
            while n_waiting > _WAITING_ROWS and not self.stop.wait(_POLL_S):
                n_waiting = ray.get(self._dispatcher.waiting.remote())
            if self.stop.is_set():
                return


@contextmanager
def feeding(home: Folder, dispatcher: Any, only: frozenset[str] | None) -> Iterator[Feed]:
    """While inside, the plan goes to the dispatcher as fast as it needs rows. `only`: these rows."""
    feed = Feed(home, dispatcher, only)
    thread = threading.Thread(target=feed.run, name="feed", daemon=True)
    thread.start()
    try:
        yield feed
    finally:
        feed.stop.set()
        thread.join(_ENDING_S)  # Ray Data may be waiting for its start, and an interrupted run does not wait for that


@dataclass(frozen=True)
class MarkWritten:
    """Adds to rows of the plan the column `written`: accepted, not accepted, or null. `written`: a reference to it."""

    written: Any
    only: frozenset[str] | None = None
    from_line: int = 0

    def __call__(self, batch: pa.Table) -> pa.Table:
        batch = batch.filter(pc.greater_equal(batch["line"], self.from_line))
        keys = batch["trajectory_id"].to_pylist()
        written: Written = ray.get(self.written)
        batch = batch.append_column("written", pa.array(written.find(keys), pa.bool_()))
        if self.only is None:
            return batch
        return batch.filter(pa.array([key in self.only for key in keys], pa.bool_()))


def first_lines(rows: pa.Table, n: int) -> tuple[pa.Table, int | None]:
    """Of the plan's first rows the whole lines that fit into `n` rows, and the line that follows; None: none does."""
    if rows.num_rows <= n:
        return rows, None
    following = rows["line"][n].as_py()
    return rows.filter(pc.less(rows["line"], following)), following


def _first_rows(home: Folder, n: int) -> pa.Table:
    """More than `n` rows, where there are more."""
    batches: list[pa.RecordBatch] = []
    for batch in home.read_batches(PLAN, home.read_schema(PLAN).names):
        batches.append(batch)
        if sum(map(len, batches)) > n:
            break
    return pa.Table.from_batches(batches, schema=home.read_schema(PLAN).remove_metadata())
