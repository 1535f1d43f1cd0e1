"""A run on a virtual clock goes through the real scheduler and writer, and loses no row when workers die."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.null_run import Kills, RunState, Width, open_dispatch, run_null
from benchmarks.null_teacher import Meter, Questions, null_agents
from benchmarks.virtual_clock import VirtualClockLoop
from fireact_ray.agent.models.slots import Slots
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import finished_keys
from fireact_ray.rollouts.completed import read_written
from fireact_ray.rollouts.plan import Policy, plan_lines, write_plan

pytestmark = pytest.mark.slow

WIDTH = Width(workers=2, concurrency=20)


def planned(home: Folder, n: int) -> set[str]:
    lines = list(plan_lines(list(Questions(n)), null_agents(Meter(1), Slots(1)), Policy()))
    written, _ = read_written(home / "trajectories")
    write_plan(home, lines, Policy(), written)
    return {row.trajectory_id for line in lines for row in line}


def run(home: Folder, stop_at: int | None = None, kills: Kills | None = None) -> RunState:
    async def main() -> RunState:
        return await run_null(home, WIDTH, await open_dispatch(home, WIDTH), stop_at=stop_at, kills=kills)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(main())


def test_slots_stay_full_until_the_last_question_is_begun(tmp_path: Path) -> None:
    home = Folder(str(tmp_path))
    keys = planned(home, 100)
    state = run(home)
    assert finished_keys(home / "trajectories") == keys
    assert state.meter.share_in_use > 0.99


def test_every_planned_row_lands_once_when_workers_die(tmp_path: Path) -> None:
    home = Folder(str(tmp_path))
    keys = planned(home, 100)
    state = run(home, kills=Kills(4, mean_every_s=10))
    assert state.deaths == 4
    assert finished_keys(home / "trajectories") == keys


def test_a_run_that_was_stopped_goes_on_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    keys = planned(whole := Folder(str(tmp_path / "whole")), 100)
    planned(stopped := Folder(str(tmp_path / "stopped")), 100)
    n_calls = run(whole).meter.n_calls
    first = run(stopped, stop_at=50)
    second = run(stopped)
    assert finished_keys(stopped / "trajectories") == keys
    assert n_calls <= first.meter.n_calls + second.meter.n_calls <= n_calls + WIDTH.concurrency  # those in flight
