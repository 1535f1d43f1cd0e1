"""A pool against a scripted source: what it begins, writes and reports."""

import asyncio

import pytest
from fakes import finished_trajectory, question

from fireact_ray.core.errors import BudgetExhausted, DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Score, StopReason
from fireact_ray.rollouts.dispatcher import Dispatch, Leaving
from fireact_ray.rollouts.plan import Planned, Policy
from fireact_ray.rollouts.pool import Assignment, Order, Pool, Report
from fireact_ray.rollouts.writer import Writer


class LocalSource:
    """A dispatcher in the same process."""

    def __init__(self, dispatch: Dispatch, worker: str = "w") -> None:
        self.dispatch, self.worker = dispatch, worker
        self.reports: list[Report] = []

    async def exchange(self, report: Report, room: int) -> Order:
        self.reports.append(report)
        return self.dispatch.exchange(self.worker, report, room)


def dispatcher(folder: Folder, keys: str, policy: Policy | None = None) -> Dispatch:
    dispatch = Dispatch(folder, policy or Policy(), n_workers=1)
    dispatch.feed([((Planned(key, question(), "react"),), [None]) for key in keys])
    dispatch.fed()
    dispatch.join("w", "w-1")
    return dispatch


async def run_pool(folder: Folder, dispatch: Dispatch, run_row, admitted: int = 3) -> LocalSource:
    source = LocalSource(dispatch)
    await asyncio.wait_for(Pool(run_row, Writer(folder / "trajectories", "w-1"), source, admitted).run(), 20)
    return source


def keys_in(folder: Folder) -> str:
    return "".join(t.trajectory_id for t in read_trajectories(folder / "trajectories"))


async def test_every_row_is_run_and_written_and_no_more_at_a_time_than_admitted(tmp_path):
    running, most = set(), 0

    async def run_row(assignment: Assignment):
        nonlocal most
        running.add(assignment.row.trajectory_id)
        most = max(most, len(running))
        await asyncio.sleep(0.01)
        running.discard(assignment.row.trajectory_id)
        return finished_trajectory(assignment.row.trajectory_id)

    folder = Folder(str(tmp_path))
    dispatch = dispatcher(folder, "abcdefgh")
    await run_pool(folder, dispatch, run_row)
    assert (keys_in(folder), most) == ("abcdefgh", 3)
    assert (dispatch.counts().finished, dispatch.counts().over) == (8, True)


async def test_a_slow_row_holds_up_no_other(tmp_path):
    others_done = asyncio.Event()
    ended = []

    async def run_row(assignment: Assignment):
        if assignment.row.trajectory_id == "a":
            await others_done.wait()
        ended.append(assignment.row.trajectory_id)
        if len(ended) == 5:
            others_done.set()
        return finished_trajectory(assignment.row.trajectory_id)

    folder = Folder(str(tmp_path))
    await run_pool(folder, dispatcher(folder, "abcdef"), run_row, admitted=2)
    assert ended == list("bcdefa")


async def test_a_spent_budget_begins_nothing_more_and_keeps_what_finishes(tmp_path):
    async def run_row(assignment: Assignment):
        if assignment.row.trajectory_id == "b":
            raise BudgetExhausted("max_calls = 1")
        await asyncio.sleep(0.05)
        return finished_trajectory(assignment.row.trajectory_id)

    folder = Folder(str(tmp_path))
    dispatch = dispatcher(folder, "abcd")
    await run_pool(folder, dispatch, run_row, admitted=2)
    assert keys_in(folder) == "a"
    assert isinstance(dispatch.counts().error, BudgetExhausted)


async def test_an_error_of_the_program_stops_everything_and_says_so(tmp_path):
    async def run_row(assignment: Assignment):
        if assignment.row.trajectory_id == "a":
            raise ZeroDivisionError("oops")
        await asyncio.sleep(60)

    folder = Folder(str(tmp_path))
    dispatch = dispatcher(folder, "ab")
    await run_pool(folder, dispatch, run_row)
    with pytest.raises(DataError, match="ZeroDivisionError: oops"):
        raise dispatch.counts().error


async def test_a_folder_that_cannot_be_written_stops_the_run_with_its_reason(tmp_path):
    async def run_row(assignment: Assignment):
        return finished_trajectory(assignment.row.trajectory_id)

    folder = Folder(str(tmp_path))
    dispatch = dispatcher(folder, "ab")
    (tmp_path / "trajectories").write_text("a file where the folder should be")
    await run_pool(folder, dispatch, run_row)
    with pytest.raises(DataError, match=r"trajectories/part-w-1-.*: cannot be written"):
        raise dispatch.counts().error


async def test_once_a_target_is_reached_what_still_runs_is_cancelled_and_stays_unwritten(tmp_path):
    cancelled = []

    async def run_row(assignment: Assignment):
        key = assignment.row.trajectory_id
        if key == "a":
            return finished_trajectory(key, score=Score(0.0, 0.0))  # so that two are begun for the one that is wanted
        if key == "b":
            return finished_trajectory(key)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(key)
            raise

    folder = Folder(str(tmp_path))
    dispatch = dispatcher(folder, "abcd", Policy(target_accepted=1))
    await run_pool(folder, dispatch, run_row)
    assert (keys_in(folder), cancelled, dispatch.counts().over) == ("ab", ["c"], True)


@pytest.mark.slow
async def test_a_run_that_is_given_up_lands_what_has_finished_and_cuts_off_the_rest(tmp_path):
    last_begun = asyncio.Event()  # in the place of the first, which has finished

    async def run_row(assignment: Assignment):
        if assignment.row.trajectory_id == "d":
            last_begun.set()
        if assignment.row.trajectory_id != "a":
            await asyncio.Event().wait()
        return finished_trajectory(assignment.row.trajectory_id)

    folder = Folder(str(tmp_path))
    dispatch = dispatcher(folder, "abcd")
    running = asyncio.create_task(run_pool(folder, dispatch, run_row))
    await last_begun.wait()
    dispatch.give_up()
    source = await running
    assert keys_in(folder) == "a"
    assert {"b", "c"} <= {key for report in source.reports for key in report.returned}
    assert dispatch.counts().finished == 1


async def test_a_condemned_row_lands_as_crashed(tmp_path):
    folder = Folder(str(tmp_path))

    class Condemning(LocalSource):
        async def exchange(self, report: Report, room: int) -> Order:
            first = not self.reports
            self.reports.append(report)
            return Order(quarantined=(Planned("x", question(), "react"),), over=True) if first else Order(over=True)

    source = Condemning(dispatcher(folder, ""))
    await Pool(None, Writer(folder / "trajectories", "w-1"), source, 2).run()
    (row,) = read_trajectories(folder / "trajectories")
    assert (row.trajectory_id, row.stop_reason, row.answer) == ("x", StopReason.CRASHED, None)


async def test_what_a_dead_pool_has_paid_for_goes_with_its_rows_to_the_next(tmp_path):
    from fireact_ray.rollouts.journal import Entry, Journal

    folder = Folder(str(tmp_path))
    dispatch = dispatcher(folder, "ab")
    for _ in range(2):
        dispatch.exchange("w", Report(), 2)
    journal = Journal(folder / "journal", "w-1")
    journal.put(Entry("a", "model/1/x", {"text": "paid"}))
    dispatch.join("w", "w-2")  # the process died and was started again
    orders = [dispatch.exchange("w", Report(), 2) for _ in range(2)]
    assert {a.row.trajectory_id: [e.reply for e in a.paid.values()] for order in orders for a in order.assignments} == {
        "a": [{"text": "paid"}],
        "b": [],
    }


async def test_a_pool_that_falls_silent_loses_its_rows_to_the_others(tmp_path):
    now = 0.0
    dispatch = Dispatch(Folder(str(tmp_path)), Policy(), n_workers=2, clock=lambda: now)
    dispatch.feed([((Planned("a", question(), "react"),), [None])])
    dispatch.fed()
    dispatch.join("w1", "w1-x")
    dispatch.join("w2", "w2-x")
    assert len(dispatch.exchange("w1", Report(), 1).assignments) == 1
    now = 20.0
    assert dispatch.exchange("w2", Report(), 1).assignments == ()
    now = 31.0
    assert len(dispatch.exchange("w2", Report(), 1).assignments) == 1


async def test_no_pool_takes_the_rows_that_another_could_begin(tmp_path):
    dispatch = Dispatch(Folder(str(tmp_path)), Policy(), n_workers=2)
    dispatch.feed([((Planned(key, question(), "react"),), [None]) for key in "abcdefgh"])
    dispatch.fed()
    dispatch.join("w1", "w1-x")
    dispatch.join("w2", "w2-x")
    sizes = [len(dispatch.exchange(worker, Report(), 100).assignments) for worker in ("w1", "w2") * 4]
    assert sizes == [2, 2, 1, 1, 1, 1, 0, 0]


async def test_a_wrong_answer_is_no_accepted_row(tmp_path):
    async def run_row(assignment: Assignment):
        return finished_trajectory(assignment.row.trajectory_id, score=Score(0.0, 0.0))

    folder = Folder(str(tmp_path))
    dispatch = dispatcher(folder, "ab")
    await run_pool(folder, dispatch, run_row)
    assert (dispatch.counts().finished, dispatch.counts().accepted) == (2, 0)


async def test_a_pool_that_is_told_to_leave_finishes_what_it_has_and_the_others_get_the_rest(tmp_path):
    folder, begun = Folder(str(tmp_path)), asyncio.Event()

    async def slow(assignment: Assignment):
        begun.set()
        await asyncio.sleep(0.05)
        return finished_trajectory(assignment.row.trajectory_id)

    dispatch = dispatcher(folder, "abcdefgh")
    leaving = asyncio.create_task(run_pool(folder, dispatch, slow))
    await begun.wait()
    assert dispatch.leave(["w", "late"], 2) == Leaving(gone=("late",), ending=("w",))
    await leaving
    assert len(keys_in(folder)) in range(1, 8)
    assert (dispatch.counts().joined, dispatch.counts().over) == (0, False)
    dispatch.join("late", "late-1")
    assert dispatch.exchange("late", Report(), 5) == Order(halt=True)  # though it came after all
    dispatch.join("v", "v-1")
    other = Pool(slow, Writer(folder / "trajectories", "v-1"), LocalSource(dispatch, "v"), 3)
    await asyncio.wait_for(other.run(), 20)
    assert sorted(keys_in(folder)) == list("abcdefgh")


def test_those_that_hold_least_are_let_go_first(tmp_path):
    dispatch = dispatcher(Folder(str(tmp_path)), "abcdefgh")
    for worker in "xyz":
        dispatch.join(worker, f"{worker}-1")
    for worker, n in (("x", 2), ("y", 1), ("z", 3)):
        for _ in range(n):
            dispatch.exchange(worker, Report(), 1)
    assert dispatch.counts().open == 8
    assert dispatch.leave(["x", "y", "z"], 1) == Leaving(gone=(), ending=("y",))
    assert dispatch.leave(["x", "y", "z"], 1) == Leaving(gone=(), ending=("x",))
