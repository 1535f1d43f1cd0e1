"""A served agent: what it takes beyond its model, and what it does under overload, faults and change.

    python -m benchmarks.serving                      # all but the soak, some 8 minutes on two quiet cores
    python -m benchmarks.serving --small              # the same in 3, for a look
    python -m benchmarks.serving overload update      # parts by name
    python -m benchmarks.serving soak --soak-s 1200

A fake engine whose replies take --step-s each, and four of them make an answer. Two replicas of agent, engine and
search; 32 questions at work, 32 more may wait, the next ones are refused.

overhead    what a question takes beyond its replies, its searches included; CPU of all processes of the server. Clients
            begin one after the other, over the length of an answer: all at once is another thing than a load.
            "of the server's own": less also what the engine was late, and its searches took, by their own clocks
waiting     CPU of an answer where 500 questions wait
overload    ten times as many clients as are let in, which come again when they are told to
kills       one replica of two, by SIGKILL; `alone`: the only one
disconnects all clients go away at once, again and again
update      a rolling update of all replicas, under constant load
scaling     replicas by load, up and down again
soak        for --soak-s, with clients that leave and requests that are refused
engine      the nano base behind one engine replica, beside the same agent in this process, in turns
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.fake_engine import STEP_VARIABLE, STEPS, FakeEngineServer
from benchmarks.header import print_header, print_table
from benchmarks.serving_faults import alone, disconnects, kills, scaling, soak, update
from benchmarks.serving_load import Answer, Clients, counted, quantile, taken
from benchmarks.serving_scene import CLIENTS, Scene, questions, seconds_of_calls
from fireact_ray.core.paths import NANO_DIR
from fireact_ray.core.types import Question
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import RayConfig
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import StudentAgents
from fireact_ray.stages.application import model_id
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.serve import serving

_FAKE = "serve.systems=[{kind: model, name: base, path: nano, few_shot: false}]"
_PAIRS = tuple(f"serve.{part}={{min_replicas: 2}}" for part in ("agent", "engine", "search"))
_HALF = (f"serve.max_ongoing_requests={CLIENTS // 2}", f"serve.max_queued_requests={CLIENTS // 2}")  # of two replicas
_LOAD = 0.8  # of what may be at work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="; ".join([*_PAIRED, *_OTHERS]))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--step-s", type=float, default=0.1, help="of a reply of the fake engine")
    parser.add_argument("--soak-s", type=float, default=1200.0)
    args = parser.parse_args()
    if unknown := set(args.parts) - {*_PAIRED, *_OTHERS}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = args.parts or [name for name in (*_PAIRED, *_OTHERS) if name != "soak"]
    print_header(f"replies of the fake engine take {args.step_s:g} s, {STEPS} a question")
    os.environ[STEP_VARIABLE] = str(args.step_s)
    with tempfile.TemporaryDirectory() as folder, ray_session(RayConfig(num_cpus=8)):
        made = Settings(folder, args.step_s, 0.2 if args.small else 1.0, args.soak_s)
        if paired := [part for part in _PAIRED if part in parts]:
            with made.scene(_FAKE, *_PAIRS, *_HALF) as scene:
                asyncio.run(_all_of([_PAIRED[name] for name in paired], scene))
        for name in _OTHERS:
            if name in parts:
                with made.scene(*_OTHERS[name][0], fake=name != "engine") as scene:
                    asyncio.run(_all_of([_OTHERS[name][1]], scene))


class Settings:
    """`scale`: of how long a part goes on."""

    def __init__(self, folder: str, step_s: float, scale: float, soak_s: float) -> None:
        self._folder, self._step_s, self._scale, self._soak_s = folder, step_s, scale, soak_s

    @contextmanager
    def scene(self, *settings: str, fake: bool = True) -> Iterator[Scene]:
        recipe = load_recipe("demo", [f"output_dir={self._folder}", "serve.port=0", *settings])
        with serving(recipe, FakeEngineServer) if fake else serving(recipe) as url:
            yield Scene(recipe, url, self._step_s, self._scale, self._soak_s)


async def _all_of(parts: Sequence[Callable[[Scene], Awaitable[None]]], scene: Scene) -> None:
    await scene.clients.ask(2 * CLIENTS, CLIENTS)  # connections and caches
    for part in parts:
        await part(scene)


async def overhead(scene: Scene) -> None:
    rows = []
    for n_clients, n_questions in ((1, 50), (int(_LOAD * CLIENTS), 1000), (CLIENTS, 1000)):
        before, calls_s = taken(), await seconds_of_calls()
        answers = await scene.clients.ask(
            int(n_questions * scene.scale), n_clients, begin_within_s=STEPS * scene.step_s
        )
        spent, calls_s = taken().since(before), await seconds_of_calls() - calls_s
        rows.append((n_clients, *_costs(answers, spent, scene.step_s, calls_s)))
    head = ("clients", "replies", "share, %", "of the server's own", "ms a step, p50", "of the server's own", "p99")
    print_table((*head, "CPU ms a step", "of that"), rows)


def _costs(answers: Sequence[Answer], spent: dict[str, float], step_s: float, calls_s: float) -> tuple[str, ...]:
    """`calls_s`: of all steps and searches, as engine and search measured them."""
    answered = [one for one in answers if one.is_answered]
    extra_ms = [(one.seconds / one.steps - step_s) * 1000 for one in answered]
    n_steps, wall_s = sum(one.steps for one in answered), sum(one.seconds for one in answered)
    late_ms = (calls_s / n_steps - step_s) * 1000  # the mean: of one question it is not known
    return (
        counted(answers),
        f"{(1 - n_steps * step_s / wall_s) * 100:.1f}",
        f"{(1 - calls_s / wall_s) * 100:.1f}",
        f"{quantile(extra_ms, 0.5):.1f}",
        f"{quantile(extra_ms, 0.5) - late_ms:.1f}",
        f"{quantile(extra_ms, 0.99):.1f}",
        f"{sum(spent.values()) / n_steps * 1000:.2f}",
        ", ".join(f"{part} {seconds / n_steps * 1000:.2f}" for part, seconds in sorted(spent.items())),
    )


async def waiting(scene: Scene) -> None:
    rows = []
    for n_waiting in (0, 500):
        before = taken()
        n_questions = max(int(1000 * scene.scale), 2 * (CLIENTS + n_waiting))
        answers = await scene.clients.ask(n_questions, CLIENTS + n_waiting)
        spent = taken().since(before)
        n_answers = sum(one.is_answered for one in answers)
        per_answer = [f"{part} {seconds / n_answers * 1000:.1f}" for part, seconds in sorted(spent.items())]
        rows.append(
            (n_waiting, counted(answers), f"{sum(spent.values()) / n_answers * 1000:.1f}", ", ".join(per_answer))
        )
    print_table(("waiting", "replies", "CPU ms an answer", "of that"), rows)


async def overload(scene: Scene) -> None:
    rows: list[tuple[str, ...]] = []
    before, seconds = taken().rss, 20 * scene.scale
    usual_s = float("nan")
    for name, n_clients in (("as many as are let in", 1), ("ten times as many", 10), ("after", 1)):
        began = time.monotonic()
        answers = await scene.clients.ask_for(seconds, n_clients * CLIENTS)
        p99_s = quantile([one.seconds for one in answers if one.is_answered], 0.99)
        refused_s = quantile([one.seconds for one in answers if one.said == "429"], 0.99)
        slow = [one.at - began for one in answers if one.seconds > 1.5 * usual_s]
        usual_s = p99_s if not rows else usual_s
        grown = (taken().rss / before - 1) * 100
        back = f"{max(slow, default=0.0):.1f}" if name == "after" else ""
        rows.append((name, counted(answers), f"{p99_s:.2f}", f"{refused_s * 1000:.0f}", f"{grown:+.1f}", back))
    print_table(
        ("clients", "replies", "answered, p99 s", "refused, p99 ms", "memory, %", "the last answer over 1.5 x p99, s"),
        rows,
    )


async def beside_the_raw_engine(scene: Scene) -> None:
    """Questions a second: over HTTP, and by the same agent in this process. In turns; of each the best."""
    recipe, n_questions = scene.recipe, int(256 * scene.scale)
    texts = questions(recipe, n_questions)
    agent = StudentAgents(recipe, str(NANO_DIR), few_shot=True)(open_backend(recipe.search), CLIENTS)["react"]

    async def raw() -> None:
        waiting_texts = iter(texts)

        async def one() -> None:
            for text in waiting_texts:
                await agent.run(Question("served", text, text, ()))

        await asyncio.gather(*(one() for _ in range(CLIENTS)))

    async def served() -> None:
        clients = Clients(scene.url, model_id(recipe, "base"), texts)
        answers = await clients.ask(n_questions, CLIENTS)
        assert all(one.is_answered for one in answers), counted(answers)

    rates: dict[str, list[float]] = {"served": [], "raw": []}
    for _ in range(1 if scene.scale < 1 else 3):
        for name, run in (("served", served), ("raw", raw)):
            began = time.monotonic()
            await run()
            rates[name].append(n_questions / (time.monotonic() - began))
    best = {name: max(found) for name, found in rates.items()}
    row = (f"{best['served']:.2f}", f"{best['raw']:.2f}", f"{best['served'] / best['raw']:.3f}")
    print_table(("served, questions/s", "the agent alone", "ratio"), [row])


_PAIRED = {  # with two replicas of everything
    "overhead": overhead,
    "overload": overload,
    "kills": kills,
    "disconnects": disconnects,
    "update": update,
    "scaling": scaling,
    "soak": soak,
}
_ONE_EACH = (f"serve.max_ongoing_requests={CLIENTS}",)
_OTHERS: dict[str, tuple[tuple[str, ...], Callable[[Scene], Awaitable[None]]]] = {
    "alone": ((_FAKE, *_ONE_EACH), alone),
    "waiting": ((_FAKE, *_ONE_EACH, "serve.max_queued_requests=1000"), waiting),
    "engine": (("serve.systems=[base]", *_ONE_EACH), beside_the_raw_engine),
}


if __name__ == "__main__":
    main()
