"""What a served agent did, kept beside its answers."""

import logging

from fakes import finished_trajectory, question

from fireact_ray.core.secrets import remember
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.rollouts.traces import Traces


def trajectory(text: str):
    return finished_trajectory(text, question=question(text))


async def test_what_was_put_is_there_once_it_is_closed_as_a_question_of_the_task(tmp_path):
    traces = Traces(Folder(str(tmp_path)), "almanac")
    rows = [trajectory(f"q{n}") for n in range(3)]
    for row in rows:
        traces.put(row)
    await traces.close()
    kept = read_trajectories(Folder(str(tmp_path)) / "trajectories")
    assert sorted(row.trajectory_id for row in kept) == sorted(row.trajectory_id for row in rows)
    assert {row.question.task for row in kept} == {"almanac"}
    assert sorted(row.question.text for row in kept) == sorted(row.question.text for row in rows)


async def test_no_key_that_was_ever_read_is_kept(tmp_path):
    remember("canary-0123456789abcdef")
    traces = Traces(Folder(str(tmp_path)), "almanac")
    traces.put(trajectory("is canary-0123456789abcdef a key?"))
    await traces.close()
    (kept,) = read_trajectories(Folder(str(tmp_path)) / "trajectories")
    assert "canary" not in str(kept)


async def test_what_is_too_much_is_counted_and_said(tmp_path, caplog):
    traces = Traces(Folder(str(tmp_path)), "almanac", max_waiting=2)
    with caplog.at_level(logging.WARNING):
        for n in range(5):
            traces.put(trajectory(f"q{n}"))
    await traces.close()
    assert traces.dropped == 3
    said = [record.getMessage().split(" so far")[0] for record in caplog.records]
    assert said == ["1 served questions", "2 served questions"]  # and then twice as many
    assert len(read_trajectories(Folder(str(tmp_path)) / "trajectories")) == 2
