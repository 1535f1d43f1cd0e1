"""Parts of `benchmarks.serving` in which something breaks, changes or lasts."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ray import serve as ray_serve

from benchmarks.fake_engine import FakeEngineServer
from benchmarks.header import print_table
from benchmarks.serving_load import counted, processes, quantile, taken
from benchmarks.serving_scene import CLIENTS, Scene, until_idle
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.serving import EngineConfig, PartConfig
from fireact_ray.stages.actors.replicas import AGENT, ENGINE, SEARCH
from fireact_ray.stages.application import NAME, application
from fireact_ray.stages.serve_progress import ready

_SETTLE_S = 240.0  # for replicas to be as many as they should


async def kills(scene: Scene) -> None:
    """One of two, in the middle of all; then until a new question is answered."""
    rows = [await _killed(scene, part) for part in (ENGINE, AGENT, SEARCH)]
    print_table(("killed", "replies", "the next question, s"), rows)


async def alone(scene: Scene) -> None:
    """The only replica of each part."""
    await kills(scene)


async def _killed(scene: Scene, part: str) -> tuple[str, str, str]:
    await until_idle()
    async with scene.mixed_clients.asking(CLIENTS // 2) as answers:
        await asyncio.sleep(1.0)
        victims = processes(part)
        os.kill(victims[0].pid, signal.SIGKILL)
        at = time.monotonic()
        (first,) = await scene.clients.ask(1, 1)
        again_s = time.monotonic() - at
        await until_running(scene.recipe)
    return f"1 of {len(victims)} {part}", counted(answers), f"{again_s:.1f} ({first.said})"


async def disconnects(scene: Scene) -> None:
    """So many times: all clients go away at once. Until no agent and no engine works on anything."""
    took = []
    for _ in range(int(100 * scene.scale)):
        asking = asyncio.create_task(scene.mixed_clients.ask(CLIENTS, CLIENTS))
        await asyncio.sleep(0.3)
        asking.cancel()
        await asyncio.wait([asking])
        at = time.monotonic()
        await until_idle()
        took.append(time.monotonic() - at)
    row = (CLIENTS, len(took), sum(one <= 2 for one in took), f"{quantile(took, 0.5):.2f}", f"{max(took):.2f}")
    print_table(("clients that went away", "times", "idle within 2 s", "p50 s", "longest"), [row])


async def update(scene: Scene) -> None:
    """Every replica is replaced by one of a new version."""
    async with scene.mixed_clients.asking(CLIENTS // 2) as answers:
        await asyncio.sleep(2.0)
        old = _replicas()
        at = time.monotonic()
        await _deploy(scene.recipe)
        await _until_gone(old)
        took_s = time.monotonic() - at
        await asyncio.sleep(2.0)
    slowest = max(one.seconds for one in answers)
    print_table(
        ("replaced", "in s", "replies", "slowest, s"), [(len(old), f"{took_s:.0f}", counted(answers), f"{slowest:.1f}")]
    )


def _replicas() -> set[int]:
    return {process.pid for part in (AGENT, ENGINE, SEARCH) for process in processes(part)}


async def _until_gone(old: set[int]) -> None:
    for _ in range(600):
        if not old & _replicas():
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"{len(old & _replicas())} replicas of the old version are still there")


async def scaling(scene: Scene) -> None:
    """From one replica of each part to three, under load, and back."""
    quick = PartConfig(
        min_replicas=1, max_replicas=3, target_ongoing_requests=4, upscale_delay_s=1, downscale_delay_s=2
    )
    config = scene.recipe.serve.model_copy(update={AGENT: quick, ENGINE: EngineConfig(**quick.model_dump())})
    recipe = scene.recipe.model_copy(update={"serve": config})
    seen: list[str] = []
    async with scene.mixed_clients.asking(2) as few:
        await _deploy(recipe)
        await _until_are({AGENT: 1, ENGINE: 1}, seen)
        async with scene.mixed_clients.asking(CLIENTS // 2) as many:
            await _until_are({AGENT: 3, ENGINE: 3}, seen)
        await _until_are({AGENT: 1, ENGINE: 1}, seen)
    print_table(("replicas of agent, engine", "replies"), [(" > ".join(seen), counted([*few, *many]))])
    await _deploy(scene.recipe)


async def _deploy(recipe: Recipe) -> None:
    app = application(recipe, FakeEngineServer)
    await asyncio.to_thread(ray_serve.run, app, name=NAME, route_prefix="/")


async def until_running(recipe: Recipe) -> None:
    """As many replicas as the recipe asks for."""
    serve = recipe.serve
    least = {AGENT: serve.agent.min_replicas or 1, ENGINE: serve.engine.min_replicas or 1}
    await _until_are({**least, SEARCH: serve.search.min_replicas or recipe.search.actors}, [])


async def _until_are(wanted: dict[str, int], seen: list[str]) -> None:
    until = time.monotonic() + _SETTLE_S
    while time.monotonic() < until:
        states = ray_serve.status().applications[NAME].deployments
        found = {name: states[name].replica_states for name in wanted}
        running = " ".join(str(found[name].get("RUNNING", 0)) for name in wanted)
        if not seen or seen[-1] != running:
            seen.append(running)
        if all(dict(found[name]) == {"RUNNING": n} for name, n in wanted.items()):
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"not so many replicas within {_SETTLE_S:g} s: {ready()}")


@dataclass(frozen=True)
class _Look:
    seconds: float
    rss_mb: float
    fds: int


async def soak(scene: Scene) -> None:
    """Constant load at half of what may be at work, with some that leave in the middle and some that are refused."""
    looks: list[_Look] = []
    every_s = max(2.0, scene.soak_s / 60)
    async with scene.mixed_clients.asking(CLIENTS // 2) as answers:
        began = time.monotonic()
        while (passed_s := time.monotonic() - began) < scene.soak_s:
            now = taken()
            looks.append(_Look(passed_s, now.rss / 2**20, now.fds))
            leaving = asyncio.create_task(scene.mixed_clients.ask(4, 4))
            await asyncio.sleep(0.3)
            leaving.cancel()
            await asyncio.wait([leaving])
            await scene.clients.bad_request()
            await asyncio.sleep(every_s)
    await until_idle()
    half = looks[len(looks) // 2 :]
    print_table(
        ("seconds", "replies", "answered, p99 s", "MB at first", "half way", "at last", "MB a minute since", "files"),
        [
            (
                f"{scene.soak_s:g}",
                counted(answers),
                f"{quantile([one.seconds for one in answers], 0.99):.2f}",
                f"{looks[0].rss_mb:.0f}",
                f"{half[0].rss_mb:.0f}",
                f"{looks[-1].rss_mb:.0f}",
                f"{_slope([(one.seconds / 60, one.rss_mb) for one in half]):+.2f}",
                f"{looks[0].fds}, {half[0].fds}, {looks[-1].fds}",
            )
        ],
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """By least squares."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else float("nan")
