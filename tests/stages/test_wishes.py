"""Why a worker saves or stops, asked after its steps. A SIGTERM is sent to this very process."""

import os
import signal
from types import SimpleNamespace

import pytest
from commands import until
from ray.train.v2._internal.execution import context

from fireact_ray.recipe.training import TrainSection
from fireact_ray.stages import wishes as room
from fireact_ray.stages.ray_training import scaling_of
from fireact_ray.stages.wishes import HeedSigterm, Wishes, sigterm_heeded
from fireact_ray.training.agreement import Wish

pytestmark = pytest.mark.torch  # which wishes import


class Board:
    """Of a driver that wants the training to stop when it is asked for the second time."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.n_asked = 0

    def post(self, kind: str, content: object) -> None:
        self.posted.append(kind)

    def is_asked_to_stop(self) -> bool:
        self.n_asked += 1
        return self.n_asked > 1


@pytest.fixture
def drain(monkeypatch):
    """A worker's context, as far as it says which nodes are drained; to be called with what Ray Train then says."""
    preemption = SimpleNamespace(preemption_info=None)
    monkeypatch.setattr(context, "_train_context", SimpleNamespace(preemption_context=preemption))
    return lambda info: setattr(preemption, "preemption_info", info)


@pytest.fixture
def came_to_ray():
    """The SIGTERMs that are left to Ray's own handler."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    HeedSigterm().after_init_train_context()
    yield came
    signal.signal(signal.SIGTERM, before)
    room._sigterm.came.clear()


def sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_the_first_sigterm_of_a_training_is_a_wish_to_save_and_stop_and_any_other_is_rays(came_to_ray, drain):
    wishes = Wishes(Board(), leads=False)
    sigterm()
    assert len(came_to_ray) == 1
    with sigterm_heeded() as told_to_end:
        assert wishes() is Wish.NOTHING
        sigterm()
        assert told_to_end()
        assert wishes() is Wish.STOP
        assert len(came_to_ray) == 1
        sigterm()
        assert len(came_to_ray) == 2
    sigterm()
    assert len(came_to_ray) == 3


def test_a_drained_node_is_saved_for_once(drain):
    wishes = Wishes(Board(), leads=False)
    drain("node a until noon")
    assert [wishes(), wishes()] == [Wish.SAVE, Wish.NOTHING]
    drain("nodes a and b until noon")
    assert [wishes(), wishes()] == [Wish.SAVE, Wish.NOTHING]


def test_the_worker_that_leads_tells_of_its_first_step_and_asks_the_driver(monkeypatch, drain):
    monkeypatch.setattr(room, "_POLL_S", 0.01)
    board = Board()
    wishes = Wishes(board, leads=True)
    assert until(lambda: wishes() is Wish.STOP, 10)
    assert (board.posted, board.n_asked) == (["first step"], 2)
    other = Board()
    Wishes(other, leads=False)()
    assert (other.posted, other.n_asked) == ([], 0)


@pytest.mark.parametrize(("workers", "asked", "is_elastic"), [(2, 2, False), ({"min": 1, "max": 4}, (1, 4), True)])
def test_ray_train_is_asked_for_a_number_of_workers_or_for_a_range(workers, asked, is_elastic):
    scaling = scaling_of(TrainSection(workers=workers))
    assert scaling.num_workers == asked
    assert scaling.elasticity_enabled is is_elastic
