"""Which checkpoints are examined while a training goes on, by a scripted examination."""

import logging
import threading

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.stages.examiner import Examiner
from fireact_ray.training.progress.entries import AgentMetrics


class Examination:
    """Takes as long as it is told to."""

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[int] = []
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self._fails = fails

    def __call__(self, step: int) -> AgentMetrics:
        self.asked.append(step)
        self.begun.release()
        assert self.may_end.acquire(timeout=10)
        if self._fails:
            raise DataError("no whole checkpoint")
        return AgentMetrics(agent_step=step, agent_em=0.25, agent_questions=8)


@pytest.fixture
def told() -> list[dict]:
    return []


def test_checkpoints_of_every_so_many_steps_are_examined_and_nobody_waits_before_the_end(told):
    examination = Examination()
    examiner = Examiner(examination, 10, told.append)
    for step in (5, 10, 15):
        examiner.checkpoint(step)
    assert examination.begun.acquire(timeout=10)
    examiner.checkpoint(20)
    assert not examiner.ends_within(0)
    for _ in range(2):
        examination.may_end.release()
    assert examiner.ends_within(10)
    examiner.close()
    assert told == [{"agent_step": step, "agent_em": 0.25, "agent_questions": 8} for step in (10, 20)]


def test_a_checkpoint_that_waits_gives_way_to_a_newer_one_and_none_is_examined_twice(told, caplog):
    examination = Examination()
    examiner = Examiner(examination, 10, told.append)
    examiner.checkpoint(10)
    assert examination.begun.acquire(timeout=10)
    for step in (20, 30, 10, 20):  # from 10 on the steps are taken again, after a worker was lost
        examiner.checkpoint(step)
    for _ in range(2):
        examination.may_end.release()
    assert examiner.ends_within(10)
    with caplog.at_level(logging.WARNING):
        examiner.close()
    assert examination.asked == [10, 30]
    assert "0 could not be examined and 1 were passed over" in caplog.text


def test_one_that_fails_is_said_and_the_next_is_examined(told, caplog):
    examination = Examination(fails=True)
    examiner = Examiner(examination, 1, told.append)
    with caplog.at_level(logging.WARNING):
        for step in (1, 2):
            examiner.checkpoint(step)
            assert examination.begun.acquire(timeout=10)
            examination.may_end.release()
        assert examiner.ends_within(10)
        examiner.close()
    assert told == []
    assert "train: the agent after step 2 was not evaluated: no whole checkpoint" in caplog.text
    assert "2 could not be examined" in caplog.text
