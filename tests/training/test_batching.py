from collections import Counter

import numpy as np
import pytest

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.batching import collate, plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row

pytestmark = pytest.mark.torch

CONFIG = TrainConfig(base_model="b", epochs=2, global_batch_size=4, micro_batch_tokens=24, seed=3)


def row(length: int) -> Row:
    mask = np.array([0] * (length - 2) + [1, 1], dtype=np.int8)
    return Row(f"t{length}", np.arange(length, dtype=np.int32), mask)


ROWS = [row(length) for length in (3, 12, 5, 9, 4, 11, 7, 6, 8)]


def plan(world_size: int = 1, start: int = 0, config: TrainConfig = CONFIG):
    return [list(plan_steps(ROWS, config, rank, world_size, start)) for rank in range(world_size)]


def examples(step_of_each_rank) -> list[int]:
    batches = [batch for step in step_of_each_rank for batch in working(step.share)]
    return sorted(i for batch in batches for rows in batch for i in rows)


def working(share):
    return share.micro_batches[: len(share.micro_batches) - share.idle]


def widths(batch) -> list[int]:
    return [sum(len(ROWS[i].input_ids) for i in rows) for rows in batch]


def test_every_epoch_trains_every_example_once_in_an_order_of_its_own():
    (steps,) = plan()
    assert [(s.number, s.epoch) for s in steps] == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1)]
    epochs = [[examples([s]) for s in steps if s.epoch == epoch] for epoch in (0, 1)]
    assert [sorted(i for step in epoch for i in step) for epoch in epochs] == [list(range(9))] * 2
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_any_number_of_workers_takes_the_same_steps(world_size: int):
    (alone,) = plan()
    together = list(zip(*plan(world_size), strict=True))
    assert [examples(ranks) for ranks in together] == [examples([step]) for step in alone]
    for step, ranks in zip(alone, together, strict=True):
        assert {(r.number, r.epoch, r.trained_tokens, r.tokens) for r in ranks} == {
            (step.number, step.epoch, step.trained_tokens, step.tokens)
        }


def test_a_worker_without_an_example_runs_along_idly():
    ranks = plan(world_size=2)
    last = [steps[2].share for steps in ranks]  # the ninth example is alone in its step
    assert [share.idle for share in last] == [0, 1]
    assert last[0].micro_batches == last[1].micro_batches


def test_workers_of_a_sharded_model_take_equally_many_passes():
    sharded = CONFIG.model_copy(update={"sharding": "fsdp2", "global_batch_size": 9, "micro_batch_tokens": 12})
    ranks = plan(4, config=sharded)
    assert [[len(step.share.micro_batches) for step in steps] for steps in ranks] == [[3, 3], [3, 3], [3, 3], [3, 3]]
    assert [[step.share.idle for step in steps] for steps in ranks] == [[0, 0], [1, 1], [1, 1], [1, 1]]
    assert [examples(steps) for steps in zip(*ranks, strict=True)] == [list(range(9))] * 2


def test_no_micro_batch_exceeds_its_tokens_and_padding_is_counted():
    (steps,) = plan()
    for step in steps:
        sizes = [len(batch) * max(widths(batch)) for batch in step.share.micro_batches]
        assert max(sizes) <= 24
        assert step.computed_tokens == sum(sizes)
        assert step.tokens == sum(len(ROWS[i].input_ids) for i in examples([step]))
        assert step.trained_tokens == 2 * len(examples([step]))


def test_a_resumed_plan_is_the_rest_of_the_whole_one():
    (whole,) = plan()
    for start in range(6):
        assert plan(start=start) == [whole[start:]]


def test_another_seed_gives_another_order():
    (one,), (other,) = plan(), plan(config=CONFIG.changed(seed=4))
    assert Counter(map(str, one)) != Counter(map(str, other))


def test_an_example_that_fits_no_micro_batch_stops_the_run():
    with pytest.raises(TrainingError, match="longest example has 12 tokens, micro_batch_tokens allows 10"):
        plan(config=CONFIG.changed(micro_batch_tokens=10))


def test_an_example_that_fits_no_pack_stops_the_run():
    with pytest.raises(TrainingError, match="longest example has 12 tokens, pack_tokens allows 11"):
        plan(config=CONFIG.changed(pack_tokens=11))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_packing_changes_where_examples_stand_and_not_which_are_in_a_step(world_size: int):
    packed = list(zip(*plan(world_size, config=CONFIG.changed(pack_tokens=16)), strict=True))
    (alone,) = plan()
    assert [examples(ranks) for ranks in packed] == [examples([step]) for step in alone]
    for step, ranks in zip(alone, packed, strict=True):
        assert {(r.trained_tokens, r.tokens) for r in ranks} == {(step.trained_tokens, step.tokens)}
        batches = [batch for rank in ranks for batch in rank.share.micro_batches]
        assert all(width <= 16 for batch in batches for width in widths(batch))
        if not any(rank.share.idle for rank in ranks):
            assert ranks[0].computed_tokens == sum(len(batch) * max(widths(batch)) for batch in batches) <= 24 * 4


def test_packs_hold_several_examples_and_less_padding():
    (apart,), (packed,) = plan(), plan(config=CONFIG.changed(pack_tokens=24))
    assert max(len(rows) for step in packed for batch in step.share.micro_batches for rows in batch) == 3
    assert sum(step.computed_tokens for step in packed) == sum(step.tokens for step in packed) == 130
    assert sum(step.computed_tokens for step in apart) > 130


def test_padding_is_on_the_right_and_never_trained():
    batch = collate([[row(4)], [row(2)]])
    assert batch.input_ids.tolist() == [[0, 1, 2, 3], [0, 1, 0, 0]]
    assert batch.loss_mask.tolist() == [[False, False, True, True], [False, True, False, False]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3], [0, 1, 0, 1]]
    assert not collate([[row(4)]], idle=True).loss_mask.any()


def test_positions_begin_anew_with_each_example_of_a_pack_and_its_first_token_is_not_trained():
    batch = collate([[row(4), row(2)], [row(3)]])
    assert batch.input_ids.tolist() == [[0, 1, 2, 3, 0, 1], [0, 1, 2, 0, 0, 0]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 0, 1], [0, 1, 2, 0, 1, 2]]
    assert batch.loss_mask.tolist() == [
        [False, False, True, True, False, True],
        [False, True, True, False, False, False],
    ]
