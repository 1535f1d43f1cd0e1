"""What a dispatcher gives along with a row: what the journals of earlier sessions hold of it."""

import pytest
from fakes import finished_trajectory, question

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.rollouts.dispatcher import Dispatch
from fireact_ray.rollouts.journal import Entry, Journal
from fireact_ray.rollouts.plan import Planned, Policy
from fireact_ray.rollouts.pool import Report

CALL = "model/1/0123"
ANSWERED = Entry("a", CALL, {"text": "Thought: x"})
FOUND = Entry("a", CALL, {"text": "found", "status": "ok"})
CUT_OFF = Entry("a", CALL, error=("CancelledError", ""))
NOT_FOUND = Entry("a", CALL, {"text": "The search failed.", "status": "error"})


@pytest.mark.parametrize("writers", [("w0", "w1"), ("w1", "w0")])
@pytest.mark.parametrize(("failed", "paid"), [(CUT_OFF, ANSWERED), (NOT_FOUND, FOUND)])
def test_a_paid_reply_is_used_whatever_became_of_the_same_call_in_another_sitting(failed, paid, writers, tmp_path):
    folder = Folder(str(tmp_path))
    for writer, entry in zip(writers, (failed, paid), strict=True):
        journal = Journal(folder / "journal", writer)
        journal.put(entry)
        journal.close()
    dispatch = Dispatch(folder, Policy(), n_workers=1)
    dispatch.feed([((Planned("a", question(), "react"),), [None])])
    dispatch.fed()
    dispatch.join("w", "w-2")
    (assignment,) = dispatch.exchange("w", Report(), 1).assignments
    assert assignment.paid == {CALL: paid}


def test_replies_to_rows_that_are_written_are_not_kept_in_memory(tmp_path):
    folder = Folder(str(tmp_path))
    write_trajectories(folder / "trajectories", [finished_trajectory("b"), finished_trajectory("d")], "w0")
    journal = Journal(folder / "journal", "w0")
    for key in "abcdab":  # rollouts write by turns
        journal.put(Entry(key, CALL, {"text": key}))
    journal.close()
    dispatch = Dispatch(folder, Policy(), n_workers=1)
    dispatch.feed([((Planned(key, question(), "react"),), [None]) for key in "abcd"])
    dispatch.join("w", "w-2")
    orders = [dispatch.exchange("w", Report(), 1) for _ in "abcd"]
    held = {entry.trajectory_id for order in orders for row in order.assignments for entry in row.paid.values()}
    assert held == {"a", "c"}
