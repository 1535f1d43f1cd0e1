"""What keeps workers on several nodes from training together, in one sentence with the nodes and the next move."""

from dataclasses import replace
from pathlib import Path

import pytest

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.stages.worker_facts import Facts, blindness, difference, unheard

ALIKE = [
    Facts(rank, f"10.0.0.{rank}", "cuda:0", {"python": "3.11.9", "torch": "2.13.0"}, "d1", "b1", None)
    for rank in range(3)
]
SHARED = Path("/shared/runs/r/checkpoints")


def but_one(**changed) -> list[Facts]:
    return [*ALIKE[:2], replace(ALIKE[2], **changed)]


def test_workers_that_find_the_same_may_begin():
    assert difference(ALIKE) is None
    assert difference([ALIKE[0], replace(ALIKE[1], device="cuda:1")]) is None  # of one node
    assert blindness(ALIKE, [(), (), ()], SHARED) is None


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        (
            {"versions": {"python": "3.11.9", "torch": "2.12.0"}},
            TrainingError,
            "torch 2.12.0 on 10.0.0.2. Give all nodes",
        ),
        ({"device": "cpu"}, TrainingError, "cuda on 10.0.0.0, 10.0.0.1; cpu on 10.0.0.2. Give each node"),
        ({"dataset": "d2"}, InputError, "d1 on 10.0.0.0, 10.0.0.1; d2 on 10.0.0.2. Put output_dir on storage"),
        ({"base": "none (No folder /m)"}, InputError, "none (No folder /m) on 10.0.0.2. Put the same one"),
    ],
)
def test_what_one_worker_finds_otherwise_is_named_with_its_node(changed, error, said):
    problem = difference(but_one(**changed))
    assert type(problem) is error
    assert said in str(problem)
    assert "\n" not in str(problem)


def test_a_folder_that_one_worker_cannot_write_to_or_does_not_see_is_named():
    cannot = blindness(but_one(written="Read-only file system"), [(), (), ()], SHARED)
    assert str(cannot).startswith("Worker 2 on 10.0.0.2 cannot write to /shared/runs/r/checkpoints: Read-only file sy")
    blind = blindness(ALIKE, [(), (0, 2), ()], SHARED)
    assert "Worker 1 on 10.0.0.1 does not see in /shared/runs/r/checkpoints what worker 0 on 10.0.0.0" in str(blind)


@pytest.mark.parametrize(("backend", "variable"), [("gloo", "GLOO_SOCKET_IFNAME"), ("nccl", "NCCL_SOCKET_IFNAME")])
def test_workers_that_do_not_hear_each_other_are_told_which_variable_to_set(backend, variable):
    assert f"name the one that the others reach in {variable}, as in {variable}=eth0" in str(unheard(backend, "why"))
