"""`kill -9` of what runs a run: its workers, its driver, and either of them at the worst moments."""

import json
import os
import signal

import pytest
from commands import until
from gate import Gate

from fireact_ray.demo.teacher.faults import Latency

from . import invariants
from .scene import IN_FLIGHT, LEASED, REPLIES_PER_ROW, Scene, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

SLOW = Latency(median_s=0.25, sigma=0.5)


def moments(chaos, n: int, n_rows: int) -> list[int]:
    """Random numbers of requests at which something happens, not at the very end."""
    return sorted(chaos.rng.sample(range(1, int(n_rows * REPLIES_PER_ROW * 0.8)), n))


def test_killed_workers_lose_no_row_and_pay_for_no_more_than_was_in_flight(chaos, tmp_path, local_ray):
    n_rows, n_kills = chaos.either((60, 2), (500, 20))
    gate, killed = Gate(SLOW, moments(chaos, n_kills, n_rows)), 0
    with scene(tmp_path, chaos.seed, n_rows, latency=gate) as made, made.command() as command:
        for _ in range(n_kills):
            with gate.held(lambda: command.ended):  # by a worker, so that there is one
                os.kill(victim := chaos.rng.choice(command.workers()), signal.SIGKILL)
                assert until(lambda victim=victim: victim not in command.workers(), 300, 0.2)
            killed += 1
        assert command.wait(chaos.either(600, 1200)) == 0, command.said
        # Of the calls in flight a worker has its share, and replies that have come but stand in no journal yet.
        invariants.check(made, extra_calls=killed * IN_FLIGHT)
        extra = made.n_requests - n_rows * REPLIES_PER_ROW
    chaos.note(f"{killed} workers killed in {n_rows} rows: 0 lost, 0 twice, {extra} calls paid again")


def test_a_killed_driver_is_taken_up_where_it_was(chaos, tmp_path, local_ray):
    n_rows, n_kills = chaos.either((30, 1), (200, 10))
    with scene(tmp_path / "whole", chaos.seed, n_rows) as uninterrupted:
        uninterrupted.generate_here()
        expected = invariants.timeless(uninterrupted.rows)
    gate = Gate(SLOW, moments(chaos, n_kills, n_rows))
    with scene(tmp_path / "killed", chaos.seed, n_rows, workers=chaos.either(1, 2), latency=gate) as made:
        for _ in range(n_kills):
            with made.command() as command, gate.held(lambda: command.ended):
                command.kill()
            finished = rows_so_far(made)
        assert made.generate().code == 0
        invariants.check(made, extra_calls=n_kills * LEASED)
        assert invariants.timeless(made.rows) == expected
        kept = {row.trajectory_id: row for row in made.rows}
        assert all(kept[row.trajectory_id] == row for row in finished), "a finished row was made again"
        paid = made.n_requests
        assert made.generate().code == 0
        assert made.n_requests == paid
    chaos.note(
        f"{n_kills} drivers killed in {n_rows} rows: equal to the uninterrupted run, "
        f"{paid - n_rows * REPLIES_PER_ROW} calls paid again, {len(finished)} rows kept, one more rerun without a call"
    )


def rows_so_far(made: Scene) -> list:
    return made.rows if (made.run / "trajectories").names(".parquet") else []


def test_a_process_that_dies_between_two_writes_loses_nothing_and_does_nothing_twice(chaos, tmp_path, local_ray):
    """A worker after a reply is journaled and before it is used; a worker after its part is in place and before it has
    said so; the driver just before the manifest, and just after it."""
    for round_ in range(chaos.either(1, 50)):
        nth = {"reply-journaled": chaos.rng.randint(1, 6), "part-written": 1, "before-manifest": 1, "after-manifest": 1}
        struck = {point: tmp_path / f"{point}-{round_}" for point in nth}
        orders = {"FIREACT_FAILPOINT": ",".join(f"{point}:{nth[point]}:{struck[point]}" for point in nth)}
        # The workers of a Ray that runs already have its environment: a job says what is to be added to it.
        of_workers = {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"runtime_env": {"env_vars": orders}})}
        with scene(tmp_path / str(round_), chaos.seed + round_, 16, workers=chaos.either(1, 2)) as made:
            for _driver_dies in ("before-manifest", "after-manifest"):
                made.finish(code=-signal.SIGKILL, **orders, **of_workers)
            assert made.generate().code == 0
            assert [point for point in nth if not struck[point].exists()] == [], "a point was never reached"
            invariants.check(made, extra_calls=2 * LEASED)  # two workers died


def test_a_machine_that_goes_down_with_its_ray_loses_nothing(chaos, tmp_path, local_ray):
    n_rows, workers = chaos.either((24, 1), (200, 2))
    gate = Gate(SLOW, [n_rows])
    with scene(tmp_path, chaos.seed, n_rows, workers=workers, latency=gate) as made:
        with made.command(RAY_ADDRESS="") as command, gate.held(lambda: command.ended):
            os.killpg(command.pid, signal.SIGKILL)
        assert made.generate().code == 0
        invariants.check(made, extra_calls=LEASED)
