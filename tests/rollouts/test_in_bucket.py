"""A worker whose run folder is a bucket that is busy, resets and loses answers; then the worker dies."""

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from fakes import ScriptedModel, agent, question
from object_store import door_to, object_store

from fireact_ray.agent.models.base import Completion
from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Usage
from fireact_ray.rollouts.dispatcher import Dispatch
from fireact_ray.rollouts.journal import Journal, paid_for
from fireact_ray.rollouts.plan import Planned, Policy
from fireact_ray.rollouts.pool import Assignment, Order, Pool, Report
from fireact_ray.rollouts.replay import journaled
from fireact_ray.rollouts.writer import Writer

pytestmark = pytest.mark.slow

KEYS, SLOTS = "abcdefghijkl", 3


class Teacher(ScriptedModel):
    """Searches, then finishes; counts what it is asked over all workers."""

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0
        self.dies_after: int | None = None
        self.died = asyncio.Event()

    async def complete(self, turns, sampling):
        self.n_calls += 1
        if self.n_calls == self.dies_after:
            self.died.set()
        has_searched = "found" in turns[-1].content
        text = "Thought: t\nAction: finish[Ila Dun]" if has_searched else "Thought: t\nAction: search[q]"
        return Completion(text, "stop", Usage(10, 5))


class LocalSource:
    """A dispatcher in the same process."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch = dispatch

    async def exchange(self, report: Report, room: int) -> Order:
        return self.dispatch.exchange("w", report, room)


async def work(folder: Folder, dispatch: Dispatch, teacher: Teacher, label: str) -> None:
    journal = Journal(folder / "journal", label)

    async def run_row(assignment: Assignment):
        row, paid = assignment.row, assignment.paid
        runner = replace(agent(texts={"q": "found"}), model=teacher)
        made = await journaled(runner, journal, row.trajectory_id, paid, offline=False).run(row.question)
        return replace(made, trajectory_id=row.trajectory_id)

    dispatch.join("w", label)
    pool = Pool(run_row, Writer(folder / "trajectories", label), LocalSource(dispatch), SLOTS)
    running = asyncio.create_task(pool.run())
    dying = asyncio.create_task(teacher.died.wait())
    await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    dying.cancel()
    if teacher.died.is_set() and not running.done():  # nothing is closed, and what was in memory is gone
        rows = [task for task in asyncio.all_tasks() - {asyncio.current_task()} if task is not dying]
        for task in rows:
            task.cancel()
        await asyncio.gather(*rows, return_exceptions=True)
        return
    await running
    journal.close()


async def test_a_worker_of_a_troubled_bucket_dies_and_costs_at_most_the_replies_on_their_way(monkeypatch):
    numbers = count()
    with object_store() as store, door_to(store.endpoint) as door:
        given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": door.endpoint}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(buckets, "_opened", {})
        store.bucket("data")
        folder = Folder("s3://data/run")
        folder.write("recipe.yaml", "")
        door.trouble = lambda method, path: {5: "busy", 12: "lost", 19: "reset"}.get(next(numbers) % 29)
        dispatch, teacher = Dispatch(folder, Policy(), n_workers=1, clock=lambda: 0.0), Teacher()
        dispatch.feed([((Planned(key, question(), "react"),), [None]) for key in KEYS])
        dispatch.fed()
        teacher.dies_after = 14
        await work(folder, dispatch, teacher, "w-1")
        assert paid_for(folder / "journal").calls >= 14 - SLOTS, "used replies are in the bucket"
        teacher.died.clear()
        teacher.dies_after = None
        await work(folder, dispatch, teacher, "w-2")
        assert "".join(row.trajectory_id for row in read_trajectories(folder / "trajectories")) == KEYS
        needed = 2 * len(KEYS)
        assert needed <= teacher.n_calls <= needed + SLOTS
        assert paid_for(folder / "journal").calls <= teacher.n_calls
        assert {"busy", "lost", "reset"} <= {door.trouble("GET", "/") for _ in range(29)}
