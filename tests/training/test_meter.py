import math

import numpy as np
import pytest
import torch

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.batching import plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row, Sizes
from fireact_ray.training.meter import Meter

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")
ROWS = [Row(f"t{n}", np.arange(n, dtype=np.int32), np.array([0] * (n - 1) + [1], dtype=np.int8)) for n in range(7, 15)]
CONFIG = TrainConfig(base_model="b", epochs=1, global_batch_size=4, micro_batch_tokens=14)  # one row a forward pass


def filled(*losses: list[float], norm: float = 1.0) -> Meter:
    """A meter that saw a step for each list."""
    meter = Meter(CPU, ROWS, mfu_of_one=1e-9)
    for step, of_passes in zip(plan_steps(Sizes.of(ROWS), CONFIG), losses, strict=False):
        assert len(step.share.micro_batches) == len(of_passes)
        meter.add(step, torch.tensor(of_passes), torch.tensor(norm))
    return meter


def test_an_entry_is_of_all_steps_since_the_one_before():
    meter = filled([1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0, 2.0], norm=0.5)
    entry = meter.read(steps_left=0, waited=0.0)
    assert (entry["loss"], entry["grad_norm"], entry["eta_s"], entry["padding_share"]) == (18 / 8, 0.5, 0.0, 0.0)
    assert entry["mfu"] == pytest.approx(1e-9 * entry["tokens_per_s"])
    assert entry["tokens_per_s"] == pytest.approx(entry["trained_tokens_per_s"] * 84 / 8)
    assert meter.loss() == 18 / 8  # nothing came since


def test_a_loss_that_is_not_finite_names_the_rows_of_its_first_forward_passes():
    where = [rows for step in plan_steps(Sizes.of(ROWS), CONFIG) for ((rows,),) in [step.share.micro_batches[1:2]]]
    name = ROWS[where[0][0]].trajectory_id
    meter = filled([1.0, math.nan, 3.0, 4.0], [math.inf] * 4)
    words = (
        rf"The loss is nan at step 1, where rows are {name}: 1 of its 4, those that share a forward pass with a bad one"
    )
    with pytest.raises(TrainingError, match=words):
        meter.read(steps_left=0, waited=0.0)


def test_weights_that_are_not_finite_are_told_from_rows():
    meter = filled([1.0, 2.0, 3.0, 4.0], [math.inf] * 4)
    with pytest.raises(TrainingError, match=r"at step 2, where rows are t\d+, t\d+, t\d+, t\d+: all of that step, as"):
        meter.loss()


def test_a_gradient_that_is_not_finite_is_no_model_to_save_though_its_loss_is():
    meter = filled([1.0, 2.0, 3.0, 4.0], norm=math.inf)
    with pytest.raises(
        TrainingError, match=r"The gradient is not finite after step 1, where rows are (t\d+, ){3}t\d+\."
    ):
        meter.loss()


def test_what_is_done_meanwhile_is_no_time_of_the_interval():
    meter = filled([1.0, 2.0, 3.0, 4.0])
    before = meter._since
    with meter.paused():
        torch.zeros(1000).sum()
    assert meter._since > before
