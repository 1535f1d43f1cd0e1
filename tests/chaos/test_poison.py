"""A row that kills its worker, again and again."""

import sys
from pathlib import Path

import pytest
from commands import Command

from fireact_ray.core.types import StopReason
from fireact_ray.recipe.loader import to_yaml

from . import invariants
from .scene import REPLIES_PER_ROW, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

IN_FLIGHT, WORKERS, MAX_DEATHS = 8, 2, 8


def test_a_row_that_kills_its_worker_becomes_one_failed_row_and_spares_the_others(chaos, tmp_path, local_ray):
    n_rows = chaos.either(12, 500)
    poisoned = f"q{chaos.rng.randrange(n_rows)}"
    with scene(tmp_path, chaos.seed, n_rows) as made:
        recipe = tmp_path / "poison.yaml"
        recipe.write_text(to_yaml(made.recipe()))
        script = [sys.executable, str(Path(__file__).with_name("poison.py")), str(recipe), poisoned]
        command = Command(script, tmp_path, {})
        try:
            assert command.wait(600) == 0, command.said
        finally:
            command.kill()
            command.left_after(300)
        ended = {row.question.id: row for row in made.rows}
        assert set(ended) == set(made.canaries)
        failed = ended.pop(poisoned)
        assert failed.stop_reason is StopReason.CRASHED
        assert failed.error
        assert {row.stop_reason for row in ended.values()} == {StopReason.FINISHED}
        extra = made.n_requests - (n_rows - 1) * REPLIES_PER_ROW
        assert 0 <= extra <= MAX_DEATHS * IN_FLIGHT // WORKERS
        invariants.canaries_stay_at_home(made)
