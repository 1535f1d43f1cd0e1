"""A node of the cluster goes away in the middle of a run."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import until

from fireact_ray.demo.teacher.faults import Latency

from . import invariants
from .scene import REPLIES_PER_ROW, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

IN_FLIGHT = 8
ENV = {"RAY_AUTH_MODE": "disabled", "RAY_DISABLE_IMPORT_WARNING": "1"}


@contextmanager
def cluster(n_nodes: int):
    """Its address, and a function that kills its busiest node and says how many workers that had."""
    script = [sys.executable, str(Path(__file__).with_name("nodes.py")), str(n_nodes)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(script, env={**os.environ, **ENV}, **pipes)

    def lose_a_node() -> int:
        process.stdin.write("\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    try:
        yield process.stdout.readline().strip(), lose_a_node
    finally:
        process.stdin.close()
        process.wait(60)


def test_a_lost_node_loses_no_row(chaos, tmp_path):
    n_rows, n_times = chaos.either((24, 1), (500, 5))
    latency = Latency(median_s=0.3, sigma=0.5)
    moments = sorted(chaos.rng.sample(range(10, int(n_rows * REPLIES_PER_ROW * 0.6)), n_times))
    with (
        cluster(chaos.either(2, 3)) as (address, lose_a_node),
        scene(tmp_path, chaos.seed, n_rows, latency=latency) as made,
        made.command(f"ray={{address: '{address}'}}", f"generate.workers={chaos.either(2, 3)}", **ENV) as command,
    ):
        lost = []
        for moment in moments:
            until(lambda moment=moment: command.ended or made.n_requests >= moment, 120)
            while not command.ended and not (killed := lose_a_node()):
                time.sleep(0.2)
            assert not command.ended, command.said
            lost.append(killed)
        assert command.wait(chaos.either(600, 1200)) == 0, command.said
        assert command.said.count("was lost; its rows go to other workers") == n_times, command.said
        assert "aylet" not in command.said
        invariants.check(made, extra_calls=sum(lost) * IN_FLIGHT)
        extra = made.n_requests - n_rows * REPLIES_PER_ROW
    chaos.note(f"{n_times} nodes lost with {sum(lost)} workers in {n_rows} rows: 0 lost, {extra} calls paid again")
