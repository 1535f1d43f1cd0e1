"""Which checkpoints are examined while a training says its entries, by a scripted examination."""

import logging
import threading

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.stages.examiner import Examiner, Marks

ENTRY = {"step": 10, "of": 40, "loss": 2.0}


class Examination:
    """Takes as long as it is told to."""

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[int] = []
        self.fails = fails
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, step: int) -> Marks:
        self.asked.append(step)
        self.begun.release()
        assert self.may_end.acquire(timeout=10)
        if self.fails:
            raise DataError("no whole checkpoint")
        return Marks(step, 0.25, 8)


@pytest.fixture
def said() -> list[dict]:
    return []


def marks(entry: dict) -> dict:
    return {name: value for name, value in entry.items() if name.startswith("agent")}


def test_marks_stand_in_the_next_entry_and_those_that_come_late_in_the_last_one_again(said):
    examination = Examination()
    examiner = Examiner(examination, 10, said.append)
    examiner.checkpoint(5)
    examiner.checkpoint(10)
    assert examination.begun.acquire(timeout=10)
    examiner.entry(ENTRY)
    examination.may_end.release()
    examiner.checkpoint(20)
    assert examination.begun.acquire(timeout=10)  # so the first is over
    examiner.entry({**ENTRY, "step": 20})
    examiner.entry({**ENTRY, "step": 40})
    assert not examiner.ends_within(0)
    examination.may_end.release()
    assert examiner.ends_within(10)
    examiner.close()
    assert examination.asked == [10, 20]
    assert [(entry["step"], marks(entry)) for entry in said] == [
        (10, {}),
        (20, {"agent_em": 0.25, "agent_questions": 8, "agent_step": 10}),
        (40, {}),
        (40, {"agent_em": 0.25, "agent_questions": 8, "agent_step": 20}),
    ]


def test_a_checkpoint_that_waits_gives_way_to_a_newer_one_and_none_is_examined_twice(said, caplog):
    examination = Examination()
    examiner = Examiner(examination, 10, said.append)
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


def test_one_that_fails_is_said_and_the_next_is_examined(said, caplog):
    examination = Examination(fails=True)
    examiner = Examiner(examination, 1, said.append)
    with caplog.at_level(logging.WARNING):
        for step in (1, 2):
            examiner.checkpoint(step)
            assert examination.begun.acquire(timeout=10)
            examination.may_end.release()
        assert examiner.ends_within(10)
        examiner.entry(ENTRY)
        examiner.close()
    assert said == [ENTRY]
    assert "train: the agent after step 2 was not evaluated: no whole checkpoint" in caplog.text
    assert "2 could not be examined" in caplog.text
