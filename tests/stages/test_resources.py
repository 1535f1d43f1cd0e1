"""Why actors are not there yet."""

import asyncio

import pytest
import ray
from commands import until
from ray.util import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from fireact_ray.stages.actors.resources import lack, pending

pytestmark = pytest.mark.ray


@pytest.mark.parametrize(
    ("each", "free", "total", "said"),
    [
        ({"CPU": 0.5}, {"CPU": 1.5}, {"CPU": 2.0}, "starting"),
        ({}, {}, {}, "starting"),
        ({"CPU": 0.5, "GPU": 0.0}, {"CPU": 0.25}, {"CPU": 2.0}, "0.5 CPU each, and 0.25 of 2 are free"),
        ({"CPU": 0.5}, {}, {"CPU": 2.0}, "0.5 CPU each, and 0 of 2 are free"),
        ({"CPU": 1.0}, {"CPU": 1.0}, {"CPU": 2.0}, "1 CPU each, and 1 of 2 are free"),
        ({"CPU": 1.0, "GPU": 1.0}, {"CPU": 2.0}, {"CPU": 2.0}, "1 GPU each, and the cluster has 0: add nodes"),
    ],
)
def test_why_two_actors_without_a_place_are_not_there_yet(each, free, total, said):
    assert lack(2, each, free, total, is_unplaced=True) == said


@ray.remote
class Slow:
    """Does not begin before it is let."""

    def __init__(self, gate) -> None:
        ray.get(gate.wait.remote())


@ray.remote(num_cpus=0)
class Gate:
    def __init__(self) -> None:
        self._open = asyncio.Event()

    async def wait(self) -> None:
        await self._open.wait()


@pytest.fixture
def n_cpus(local_ray):
    n = int(ray.cluster_resources()["CPU"])
    assert until(lambda: n_free() == n, 300), "what the test before has held is given back"
    return n


@pytest.fixture
def gate(n_cpus):
    gate = Gate.remote()
    yield gate
    ray.kill(gate)


def n_free() -> float:
    return ray.available_resources().get("CPU", 0.0)


def is_said(n: int, why: str) -> bool:
    """With no CPU free. What Ray knows of its nodes is a moment old."""
    return until(lambda: n_free() == 0 and pending(n, "workers", {"CPU": 1.0}) == f"{n} workers ({why})", 300)


def test_actors_that_hold_their_cpus_are_starting_and_those_behind_them_lack_some(gate, n_cpus):
    first = [Slow.options(num_cpus=1).remote(gate) for _ in range(n_cpus)]
    assert is_said(n_cpus, "starting")
    behind = Slow.options(num_cpus=1).remote(gate)
    assert is_said(1, f"1 CPU each, and 0 of {n_cpus} are free")
    for actor in (*first, behind):
        ray.kill(actor)


def test_so_are_those_of_a_placement_group(gate, n_cpus):
    placed = placement_group([{"CPU": 1}] * n_cpus)
    within = Slow.options(num_cpus=1, scheduling_strategy=PlacementGroupSchedulingStrategy(placed)).remote(gate)
    assert is_said(n_cpus, "starting")
    behind = placement_group([{"CPU": 1}] * n_cpus)
    assert is_said(n_cpus, f"1 CPU each, and 0 of {n_cpus} are free")
    ray.kill(within)
    remove_placement_group(behind)
    remove_placement_group(placed)
