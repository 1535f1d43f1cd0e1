import pytest
import torch

from fireact_ray.training.merge_check import MergeCheck, Parting, Reply, part

pytestmark = pytest.mark.torch


def reply(*rows: tuple[int, list[float]]) -> Reply:
    return Reply(tuple(token for token, _ in rows), torch.tensor([logits for _, logits in rows]))


def test_equal_replies_do_not_part_also_where_logits_differ():
    assert part(1, reply((0, [4.0, 1.0])), reply((0, [3.0, 2.9])), 0.01) is None


def test_replies_part_at_their_first_difference_and_the_wider_preference_counts():
    unmerged = reply((0, [4.0, 1.0]), (0, [8.0, 7.9]), (1, [0.0, 9.0]))
    merged = reply((0, [4.0, 1.0]), (1, [7.8, 8.1]))
    found = part(3, unmerged, merged, 0.01)
    assert (found.prompt, found.token, found.unmerged_id, found.merged_id) == (3, 2, 0, 1)
    assert found.gap == pytest.approx(0.3, abs=1e-5)
    assert found.rounding == pytest.approx(0.08, abs=1e-5)
    assert not found.is_rounding
    assert part(3, unmerged, merged, 0.05).is_rounding


def test_a_check_passes_where_all_that_parts_is_rounding_and_says_where():
    near, far = Parting(2, 5, 17, 23, 0.01, 0.05), Parting(4, 1, 9, 8, 1.5, 0.05)
    assert MergeCheck(4, 40, (near,)).passed
    assert not MergeCheck(4, 40, (near, far)).passed
    assert str(MergeCheck(4, 40, (near, far))).splitlines() == [
        "check: 2 of 4 greedy replies are equal, 40 tokens",
        "prompt 2: the replies part at token 5 (17 unmerged, 23 merged), whose logits are 0.01 apart; rounding "
        "(up to 0.05)",
        "prompt 4: the replies part at token 1 (9 unmerged, 8 merged), whose logits are 1.5 apart; more than rounding "
        "(up to 0.05)",
    ]
