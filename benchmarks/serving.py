"""A served agent: what it takes beyond its model, under overload, when replicas die and when clients go away.

    python -m benchmarks.serving            # some 4 minutes on two quiet cores
    python -m benchmarks.serving --small    # the same in a minute, for a look

A fake engine whose replies take --step-s each, one agent replica, two engine replicas: overhead of a step (what a
question takes beyond its replies, its searches included; CPU of the server's processes, the fake engine's own work
included), ten times as many clients as are let in, replicas killed by SIGKILL, disconnects. Then the nano base behind
one engine replica beside the same agent in this process, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable

from ray import serve as ray_serve

from benchmarks.fake_engine import STEP_VARIABLE, STEPS, FakeEngineServer
from benchmarks.header import print_header, print_table
from benchmarks.serving_load import Clients, processes, quantile, statuses, taken
from fireact_ray.core.types import Question
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import RayConfig, Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import StudentAgents
from fireact_ray.stages.application import AGENT, ENGINE, NAME, model_id
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.serve import serving
from fireact_ray.tasks import load_questions

FAKE = "{kind: model, name: base, path: nano, few_shot: false}"
CLIENTS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--step-s", type=float, default=0.1, help="of a reply of the fake engine")
    args = parser.parse_args()
    print_header(f"replies of the fake engine take {args.step_s:g} s, {STEPS} a question")
    os.environ[STEP_VARIABLE] = str(args.step_s)
    with tempfile.TemporaryDirectory() as folder, ray_session(RayConfig(num_cpus=4)):
        settings = [f"output_dir={folder}", "serve.port=0", f"serve.max_ongoing_requests={CLIENTS}"]
        fake = load_recipe("demo", [*settings, f"serve.systems=[{FAKE}]", "serve.engine={min_replicas: 2}"])
        with serving(fake, FakeEngineServer) as url:
            asyncio.run(with_fake_engine(_clients(fake, url, 50), args.step_s, 0.2 if args.small else 1.0))
        nano = load_recipe("demo", [*settings, "serve.systems=[base]"])
        with serving(nano) as url:
            asyncio.run(beside_the_raw_engine(nano, url, 32 if args.small else 256, 1 if args.small else 2))


async def with_fake_engine(clients: Clients, step_s: float, scale: float) -> None:
    await clients.ask(2 * CLIENTS, CLIENTS)  # connections and caches
    await overhead(clients, step_s, scale)
    await overload(clients, 20 * scale)
    for part in (ENGINE, AGENT):
        await killed(clients, part, int(400 * scale))
    await disconnect(clients, int(20 * scale) or 1)


async def overhead(clients: Clients, step_s: float, scale: float) -> None:
    rows = []
    for n_clients, n_questions in ((1, int(50 * scale)), (CLIENTS, int(1000 * scale))):
        before = taken()
        answers = await clients.ask(n_questions, n_clients)
        spent = taken().since(before)
        extra = [(one.seconds - one.steps * step_s) / one.steps * 1000 for one in answers if one.status == 200]
        n_steps = sum(one.steps for one in answers)
        rows.append(
            (
                n_clients,
                statuses(answers),
                f"{quantile(extra, 0.5):.1f}",
                f"{quantile(extra, 0.99):.1f}",
                f"{sum(spent.values()) / n_steps * 1000:.2f}",
                ", ".join(f"{part} {seconds / n_steps * 1000:.2f}" for part, seconds in sorted(spent.items())),
            )
        )
    print_table(("clients", "replies", "ms a step, p50", "p99", "CPU ms a step", "of that"), rows)


async def overload(clients: Clients, seconds: float) -> None:
    rows, before = [], taken().rss
    for name, n_clients in (
        ("as many as are let in", CLIENTS),
        ("ten times as many", 10 * CLIENTS),
        ("after", CLIENTS),
    ):
        answers = await clients.ask_for(seconds, n_clients)
        admitted = [one.seconds for one in answers if one.status == 200]
        refused = [one.seconds for one in answers if one.status == 429]
        rows.append(
            (
                name,
                statuses(answers),
                f"{quantile(admitted, 0.99):.2f}",
                f"{quantile(refused, 0.99) * 1000:.0f}",
                f"{(taken().rss / before - 1) * 100:+.1f}",
            )
        )
    print_table(("clients", "replies", "answered, p99 s", "refused, p99 ms", "memory, %"), rows)


async def killed(clients: Clients, part: str, n_questions: int) -> None:
    """One replica of `part` in the middle; then until a question is answered again."""
    asking = asyncio.create_task(clients.ask(n_questions, CLIENTS))
    await asyncio.sleep(1.0)
    victims = processes(part)
    os.kill(victims[0].pid, signal.SIGKILL)
    at = time.monotonic()
    (first,) = await clients.ask(1, 1)
    again_s = time.monotonic() - at
    answers = await asking
    row = (f"1 of {len(victims)} {part}", statuses(answers), f"{again_s:.1f} ({first.status})")
    print_table(("killed", "replies", "the next question, s"), [row])


async def disconnect(clients: Clients, n_times: int) -> None:
    """So many times: all clients go away at once. Until no agent and no engine works on anything."""
    took = []
    for _ in range(n_times):
        asking = asyncio.create_task(clients.ask(CLIENTS, CLIENTS))
        await asyncio.sleep(0.5)
        asking.cancel()
        await asyncio.wait([asking])
        at = time.monotonic()
        await _until_idle()
        took.append(time.monotonic() - at)
    print_table(("clients that went away", "times", "until nothing runs, s"), [(CLIENTS, n_times, f"{max(took):.2f}")])


async def beside_the_raw_engine(recipe: Recipe, url: str, n_questions: int, n_rounds: int) -> None:
    """Questions a second: over HTTP, and by the same agent in this process. In turns; of each the best."""
    texts = _questions(recipe, n_questions)
    clients = _clients(recipe, url, n_questions)
    agent = StudentAgents(recipe, _nano(), few_shot=True)(open_backend(recipe.search), CLIENTS)["react"]

    async def raw() -> None:
        waiting = iter(texts)

        async def one() -> None:
            for text in waiting:
                await agent.run(Question("served", text, text, ()))

        await asyncio.gather(*(one() for _ in range(CLIENTS)))

    async def served() -> None:
        answers = await clients.ask(n_questions, CLIENTS)
        assert all(one.status == 200 for one in answers), statuses(answers)

    rates: dict[str, list[float]] = {"served": [], "raw": []}
    for _ in range(n_rounds):
        for name, run in (("served", served), ("raw", raw)):
            rates[name].append(n_questions / await _seconds(run))
    best = {name: max(found) for name, found in rates.items()}
    row = (f"{best['served']:.2f}", f"{best['raw']:.2f}", f"{best['served'] / best['raw']:.3f}")
    print_table(("served, questions/s", "the agent alone", "ratio"), [row])


async def _seconds(run: Callable[[], Awaitable[None]]) -> float:
    began = time.monotonic()
    await run()
    return time.monotonic() - began


async def _until_idle() -> None:
    for _ in range(3000):
        if not await _at_work():
            return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"{await _at_work()} questions still run")


async def _at_work() -> int:
    asked = [ray_serve.get_deployment_handle(part, NAME).broadcast("at_work") for part in (AGENT, ENGINE)]
    found = [await one.results_async(timeout_s=30, return_exceptions=True) for one in asked]
    return sum(n for part in found for n in part if isinstance(n, int))


def _clients(recipe: Recipe, url: str, n_questions: int) -> Clients:
    return Clients(url, model_id(recipe, "base"), _questions(recipe, n_questions))


def _questions(recipe: Recipe, n: int) -> list[str]:
    return [question.text for question in load_questions(recipe.task.name, recipe.task.path, "train", n)]


def _nano() -> str:
    from fireact_ray.core.paths import NANO_DIR

    return str(NANO_DIR)


if __name__ == "__main__":
    main()
