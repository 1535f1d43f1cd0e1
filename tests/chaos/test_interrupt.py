"""Ctrl-C and SIGTERM: the run stops, says how to go on, and goes on."""

import signal

import pytest
from commands import until

from fireact_ray.demo.teacher.faults import Latency

from . import invariants
from .scene import LEASED, REPLIES_PER_ROW, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(chaos, tmp_path, local_ray):
    n_rows, n_times = chaos.either((40, 2), (300, 21))
    signals = ([signal.SIGINT, signal.SIGTERM] * n_times)[:n_times]
    last_moment = int(n_rows * REPLIES_PER_ROW * 0.5)
    latency, workers = Latency(median_s=0.25, sigma=0.5), chaos.either(1, 2)
    with scene(tmp_path, chaos.seed, n_rows, workers=workers, latency=latency) as made:
        for number, moment in zip(signals, sorted(chaos.rng.sample(range(last_moment), n_times)), strict=True):
            with made.command() as command:
                until(lambda moment=moment: command.ended or has_come_to(made, command, moment), 120)
                command.interrupt() if number == signal.SIGINT else command.send(number)
                assert command.wait(300) == 130, command.said
                assert "run the same command again" in command.said
                assert "Traceback" not in command.said
        assert made.generate().code == 0
        invariants.check(made, extra_calls=n_times * LEASED)
    chaos.note(f"{n_times} interrupts in {n_rows} rows: {made.n_requests - n_rows * REPLIES_PER_ROW} calls paid again")


def has_come_to(made, command, moment: int) -> bool:
    """The first moments are before Ray has started."""
    return "rows planned" in command.said and made.n_requests >= moment
