"""How much of a provider's rate two worker processes reach together, and how many 429s they meet on the way.

    python benchmarks/quota.py --requests-per-minute 1200 --questions 130 [--learn]

The scripted teacher enforces the rate itself. `--learn`: the recipe does not name it, the reply headers do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import threading
import time
from datetime import date

from fireact_ray.demo.teacher.brain import BrainConfig
from fireact_ray.demo.teacher.faults import Latency
from fireact_ray.demo.teacher.limiting import RateLimit
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.generate import generate

_START = 40  # requests: before these, workers are still starting
_SHARES = (0.5, 0.8, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests-per-minute", type=float, default=1200)
    parser.add_argument("--questions", type=int, default=130)
    parser.add_argument("--learn", action="store_true")
    args = parser.parse_args()
    rate = args.requests_per_minute
    latency = Latency(median_s=0.2, sigma=0.5)
    with (
        ScriptedTeacher(BrainConfig(seed=0), latency=latency, rate_limit=RateLimit(rate)) as teacher,
        tempfile.TemporaryDirectory() as folder,
    ):
        model = f"{{kind: openai, name: {teacher.model_name}, base_url: '{teacher.base_url}', api_key_env: null}}"
        width = f"{{split: train, n_questions: {args.questions}, workers: 2, concurrency: 64}}"
        settings = [f"output_dir={folder}", f"teacher.model={model}", "teacher.methods=[react]", f"generate={width}"]
        if not args.learn:
            settings.append(f"teacher.quota.requests_per_minute={rate}")
        seen: list[tuple[float, int]] = []  # when, how many requests had come
        stop = threading.Event()
        watch = threading.Thread(target=_watch, args=(teacher, seen, stop))
        watch.start()
        generate(load_recipe("demo", settings))
        stop.set()
        watch.join()
        calls = teacher.stats()["calls"]
    total = sum(calls.values())
    reached = [f"{_per_minute(seen, share * total) / rate:.3f}" for share in _SHARES]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    how = "learnt" if args.learn else "named"
    print(f"\n{date.today()}, {os.cpu_count()} CPUs, commit {commit.strip()}, {rate:g} requests per minute, {how}\n")
    print(f"| requests | 429s | {' | '.join(f'share of the rate up to {share:.0%} of them' for share in _SHARES)} |")
    print("|---:|---:|---:|---:|---:|")
    print(f"| {total} | {calls.get('429', 0) / total:.2%} | {' | '.join(reached)} |")


def _watch(teacher: ScriptedTeacher, seen: list[tuple[float, int]], stop: threading.Event) -> None:
    while not stop.wait(0.05):
        stats = teacher.stats()
        seen.append((time.monotonic(), sum(stats["calls"].values()) + stats["in_flight"]))


def _per_minute(seen: list[tuple[float, int]], last: float) -> float:
    start = next(at for at in seen if at[1] >= _START)
    end = next(at for at in seen if at[1] >= last)
    return 60 * (end[1] - start[1]) / (end[0] - start[0])


if __name__ == "__main__":
    main()
