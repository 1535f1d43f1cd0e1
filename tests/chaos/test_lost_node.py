"""A node of the cluster goes away in the middle of a run."""

import pytest
from gate import Gate

from fireact_ray.demo.teacher.faults import Latency

from . import invariants
from .nodes import ENV, cluster
from .scene import REPLIES_PER_ROW, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

IN_FLIGHT = 8


def test_a_lost_node_loses_no_row(chaos, tmp_path):
    n_rows, n_times = chaos.either((24, 1), (500, 5))
    moments = chaos.rng.sample(range(10, int(n_rows * REPLIES_PER_ROW * 0.6)), n_times)
    gate = Gate(Latency(median_s=0.3, sigma=0.5), moments)
    with (
        cluster(chaos.either(2, 3)) as (address, change),
        scene(tmp_path, chaos.seed, n_rows, latency=gate) as made,
        made.command(f"ray={{address: '{address}'}}", f"generate.workers={chaos.either(2, 3)}", **ENV) as command,
    ):
        lost = []
        for _ in moments:
            with gate.held(lambda: command.ended):
                lost.append(change(chaos.either("lose", "replace")))
            assert lost[-1] > 0
        assert command.wait(chaos.either(600, 1200)) == 0, command.said
        assert command.said.count("was lost; its work goes to others") == n_times, command.said
        assert "aylet" not in command.said
        invariants.check(made, extra_calls=sum(lost) * IN_FLIGHT)
        extra = made.n_requests - n_rows * REPLIES_PER_ROW
    chaos.note(f"{n_times} nodes lost with {sum(lost)} workers in {n_rows} rows: 0 lost, {extra} calls paid again")
