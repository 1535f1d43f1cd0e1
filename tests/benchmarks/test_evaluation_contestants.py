"""Contestants of the engine benchmarks: all replies are cut as our engine ends them."""

import pytest

pytest.importorskip("torch")

from benchmarks.evaluation_contestants import whole_reply
from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Generation

pytestmark = pytest.mark.torch

END = 9


def decode(ids) -> str:
    return "".join("abcdefghi"[i] for i in ids)


@pytest.mark.parametrize(
    ("ids", "kept", "reason"),
    [
        ([0, 1, END, 2], (0, 1), "stop"),
        ([0, 2, 3, 1, END], (0, 2, 3), "stop"),  # "cd" is complete after its second token
        ([0, 2, END, 3], (0, 2), "stop"),
        ([0, 1, 2, 4], (0, 1, 2, 4), "length"),
    ],
)
def test_a_reply_ends_before_the_end_token_or_after_a_stop_string(ids, kept, reason: str):
    assert whole_reply(ids, END, Sampling(max_new_tokens=4, stop=("cd",)), decode) == Generation(kept, reason)
