"""Which rows of a plan are fed at once."""

import pyarrow as pa
import pytest

from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.stages import plan_feed
from fireact_ray.stages.generate import generate
from fireact_ray.stages.plan_feed import first_lines

from .conftest import small_recipe

pytestmark = pytest.mark.ray  # which these import


def plan(*lines: int) -> pa.Table:
    return pa.table({"line": lines, "row": range(len(lines))})


@pytest.mark.parametrize(
    ("lines", "n", "fed", "rest_from"),
    [
        ([], 2, [], None),
        ([0, 1, 2], 3, [0, 1, 2], None),
        ([0, 1, 2, 3], 2, [0, 1], 2),
        ([0, 0, 1, 1, 2], 3, [0, 1], 1),  # a line is not torn
        ([0, 0, 0, 1], 2, [], 0),
    ],
)
def test_the_first_whole_lines_are_fed_at_once(lines, n, fed, rest_from):
    first, following = first_lines(plan(*lines), n)
    assert (first["row"].to_pylist(), following) == (fed, rest_from)


def test_what_the_dispatcher_cannot_hold_comes_by_ray_data(tmp_path, local_ray, teacher, monkeypatch):
    monkeypatch.setattr(plan_feed, "_WAITING_ROWS", 10)
    monkeypatch.setattr(plan_feed, "_POLL_S", 0.05)
    recipe = small_recipe(tmp_path, teacher, "generate.workers=1")
    rows = read_trajectories(generate(recipe))
    assert len({row.trajectory_id for row in rows}) == len(rows) == 24 * 2
