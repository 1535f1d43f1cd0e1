"""Ctrl-C and SIGTERM: the run stops, says how to go on, and goes on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from commands import Command, until
from gate import Gate

from fireact_ray.demo.teacher.faults import Latency

from . import invariants
from .scene import LEASED, REPLIES_PER_ROW, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(chaos, tmp_path, local_ray):
    n_rows, n_times = chaos.either((40, 2), (300, 21))
    signals = ([signal.SIGINT, signal.SIGTERM] * n_times)[:n_times]
    last_moment = int(n_rows * REPLIES_PER_ROW * 0.5)
    moments = sorted(chaos.rng.sample(range(last_moment), n_times))
    gate = Gate(Latency(median_s=0.25, sigma=0.5), filter(None, moments))
    with scene(tmp_path, chaos.seed, n_rows, workers=chaos.either(1, 2), latency=gate) as made:
        for number, moment in zip(signals, moments, strict=True):
            with made.command() as command, come_to(moment, gate, command):
                command.interrupt() if number == signal.SIGINT else command.send(number)
                assert command.wait(300) == 130, command.said
                assert "run the same command again" in command.said
                assert "Traceback" not in command.said
        assert made.generate().code == 0
        invariants.check(made, extra_calls=n_times * LEASED)
    chaos.note(f"{n_times} interrupts in {n_rows} rows: {made.n_requests - n_rows * REPLIES_PER_ROW} calls paid again")


@contextmanager
def come_to(moment: int, gate: Gate, command: Command) -> Iterator[None]:
    """The first moment of all is before Ray has started."""
    if moment:
        with gate.held(lambda: command.ended):
            yield
    else:
        assert until(lambda: command.ended or "rows planned" in command.said, 300)
        yield
