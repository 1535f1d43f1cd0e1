"""One process' rollouts: admits more of them than it may make calls, so that no slot waits for a search.

A pool asks its source for rows whenever it has room, runs each on its own, writes what finishes, and reports. The
slots themselves stand around the model (agent.models.slots): a rollout that searches, backs off or waits holds none.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Protocol

from fireact_ray.agent.models.slots import begun
from fireact_ray.core.errors import BudgetExhausted, DataError, FireActError, ModelDenied, ToolDenied, WriteFailed
from fireact_ray.core.types import StopReason, Trajectory
from fireact_ray.rollouts.completed import is_accepted
from fireact_ray.rollouts.failure_streak import failure_of
from fireact_ray.rollouts.plan import Planned
from fireact_ray.rollouts.schedule import Receipt
from fireact_ray.rollouts.writer import Writer

OPEN_PER_SLOT = 4  # rollouts of a teacher: enough for every slot to have a call while others search
_BATCH_S = 0.02  # reports of so long go together
_IDLE_S = 0.5  # how often to ask again while there is nothing to report

Paid = Mapping[str, Any]  # what the journals hold of a row: call -> entry

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A row to run, and the replies that an earlier try has paid for."""

    row: Planned
    paid: Paid = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """What a source answers. `quarantined`: rows to write as failed; `skipped`: methods whose rollouts may stop;
    `halt`: begin nothing more; `give_up`: nor finish what is under way; `over`: everything is written."""

    assignments: tuple[Assignment, ...] = ()
    quarantined: tuple[Planned, ...] = ()
    skipped: frozenset[str] = frozenset()
    halt: bool = False
    give_up: bool = False
    over: bool = False


@dataclass(slots=True)
class Report:
    """What a pool has to say since it last did. `error`: why no further call can be made anywhere."""

    finished: list[Receipt] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    error: FireActError | None = None

    def __bool__(self) -> bool:
        return bool(self.finished or self.written or self.returned or self.error)


class Source(Protocol):
    async def exchange(self, report: Report, room: int) -> Order:
        """Take a report, give up to `room` rows."""
        ...


class Pool:
    """`run_row` makes one rollout and raises ModelDenied, ToolDenied or BudgetExhausted only."""

    def __init__(
        self,
        run_row: Callable[[Assignment], Coroutine[Any, Any, Trajectory]],
        writer: Writer,
        source: Source,
        admitted: int,
    ) -> None:
        self._run_row, self._writer, self._source = run_row, writer, source
        self._admitted = admitted
        self._running: dict[asyncio.Task[Trajectory], Planned] = {}
        self._numbers = itertools.count()
        self._report = Report()
        self._something_ended = asyncio.Event()
        self._halted = False

    async def run(self) -> None:
        """Until the source says that all is over, or, once halted, until what is under way has ended."""
        while True:
            report, self._report = self._report, Report()
            order = await self._source.exchange(report, self._room())
            self._begin(order)
            if not self._running and (order.over or self._halted):
                break
            await self._next_event()
            if self._writer.is_due or self._halted or not self._running:
                await self._write()
        await self._write()
        await self._source.exchange(self._report, 0)

    def _room(self) -> int:
        return 0 if self._halted else self._admitted - len(self._running)

    def _begin(self, order: Order) -> None:
        self._halted = self._halted or order.halt
        for row in order.quarantined:
            self._writer.add(_crashed(row))
        if order.skipped or order.give_up:
            for task, row in self._running.items():
                if order.give_up or row.method in order.skipped:
                    task.cancel()
        for assignment in order.assignments:
            context = copy_context()
            context.run(begun.set, next(self._numbers))
            task = asyncio.create_task(self._run_row(assignment), context=context)
            self._running[task] = assignment.row
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Trajectory]) -> None:
        row = self._running.pop(task)
        self._something_ended.set()
        if task.cancelled():
            self._report.returned.append(row.trajectory_id)
            return
        error = task.exception()
        if error is None:
            trajectory = task.result()
            self._writer.add(trajectory)
            receipt = Receipt(trajectory.trajectory_id, is_accepted(trajectory), failure_of(trajectory))
            self._report.finished.append(receipt)
            return
        self._report.returned.append(row.trajectory_id)
        self._report.error = self._report.error or _reason(error)
        self._halted = True
        if not isinstance(error, ModelDenied | ToolDenied | BudgetExhausted):
            for other in self._running:
                other.cancel()  # the disk is full, or we are wrong: no reply would be kept

    async def _next_event(self) -> None:
        """Until a rollout has ended, or for a while."""
        try:
            async with asyncio.timeout(_IDLE_S):  # wait_for loses a cancellation that comes with the event
                await self._something_ended.wait()
            await asyncio.sleep(_BATCH_S)
        except TimeoutError:
            pass
        self._something_ended.clear()

    async def _write(self) -> None:
        try:
            self._report.written += await self._writer.write()
        except WriteFailed as error:
            self._report.error = self._report.error or error
            self._halted = True


def _crashed(row: Planned) -> Trajectory:
    return Trajectory(
        trajectory_id=row.trajectory_id,
        question=row.question,
        method=row.method,
        model="",
        attempt=row.attempt,
        steps=(),
        stop_reason=StopReason.CRASHED,
        error="WorkerDied: the worker process died each time this row was run",
    )


def _reason(error: BaseException) -> FireActError:
    """Why the run stops, as an error of this package; an error that is none of ours is logged with its traceback."""
    if isinstance(error, FireActError):
        return error
    logger.error("a rollout failed by an error of the program", exc_info=error)
    return DataError(f"A rollout failed by an error of the program: {type(error).__name__}: {error}")
