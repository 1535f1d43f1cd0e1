"""Questions of the almanac through a local student: our engine beside other ways to run the same weights.

    python -m benchmarks.evaluation_engine --model runs/nano/model            # 500 questions, two threads
    python -m benchmarks.evaluation_engine --model runs/nano/model --vllm /path/to/venv/bin/python
    python -m benchmarks.evaluation_engine --small                            # the bundled base, seconds

All answer by the same agent (ReAct, the bundled search, greedy, the recipe's limits) on the same threads, each in a
process of its own. Timed is from the first question to the last answer; loading and a warm-up question are not.

    ours            TorchEngine, 64 rollouts at once, as `fireact evaluate` runs it
    one-by-one      FireAct's way: question by question, `generate()` on one prompt, encoded anew in each step
    transformers    its continuous batching, 64 rollouts at once
    vllm            vLLM on the CPU, 64 rollouts at once (an environment of its own, --vllm)

One by one, time grows with the questions alone, so that it is timed on `--one-by-one` of them and compared by questions
a second. `same` counts answers that equal ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.header import print_header, print_table

CONTESTANTS = ("ours", "one-by-one", "transformers", "vllm")
_AT_ONCE = 64


def main() -> None:
    args = _arguments()
    if args.run:
        print("RESULT " + json.dumps(asyncio.run(_timed(args))))
        return
    if args.small:
        args.questions, args.one_by_one = 8, 2
    print_header(f"{args.questions} questions, {args.threads} threads, model {args.model or 'nano (the bundled base)'}")
    found = {name: _in_new_process(name, args) for name in args.only if name != "vllm" or args.vllm}
    ours = found.get("ours")
    print_table(
        ["", "questions", "EM %", "steps", "new tokens", "seconds", "questions/s", "same", "ours is faster by"],
        [_row(name, one, ours) for name, one in found.items()],
    )


def _row(name: str, one: dict[str, Any], ours: dict[str, Any] | None) -> list[str]:
    pace = one["questions"] / one["seconds"]
    same, ratio = "-", "-"
    if ours is not None and one is not ours:
        same = f"{sum(a == b for a, b in zip(one['answers'], ours['answers'], strict=False))} of {one['questions']}"
        ratio = f"{ours['questions'] / ours['seconds'] / pace:.2f} x"
    return [
        name,
        str(one["questions"]),
        f"{100 * one['correct'] / one['questions']:.1f}",
        f"{one['steps']:,}",
        f"{one['new_tokens']:,}",
        f"{one['seconds']:.1f}",
        f"{pace:.2f}",
        same,
        ratio,
    ]


def _in_new_process(name: str, args: argparse.Namespace) -> dict[str, Any]:
    n = min(args.questions, args.one_by_one) if name == "one-by-one" else args.questions
    command = [sys.executable, "-m", "benchmarks.evaluation_engine", "--run", name, "--questions", str(n)]
    command += ["--threads", str(args.threads), "--recipe", args.recipe, "--split", args.split]
    command += ["--model", args.model] if args.model else []
    command += ["--vllm", args.vllm] if args.vllm else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not results:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(results[-1].removeprefix("RESULT "))
    return result


async def _timed(args: argparse.Namespace) -> dict[str, Any]:
    """Of one contestant."""
    import torch

    from fireact_ray.agent.models.local import LocalChat
    from fireact_ray.core.storage.artifacts import MODEL_CARD
    from fireact_ray.core.storage.folder import Folder
    from fireact_ray.recipe.loader import load_recipe
    from fireact_ray.recipe.search import open_backend
    from fireact_ray.recipe.student import base_model_dir, local_student, open_renderer, student_agent
    from fireact_ray.tasks import load_questions

    torch.set_num_threads(args.threads)
    recipe = load_recipe(args.recipe)
    folder = base_model_dir(args.model or "nano")
    config = local_student(recipe)
    renderer = open_renderer(folder, config)
    engine = _engine(args, folder, renderer.end_id, config.max_context)
    backend = open_backend(recipe.search)
    few_shot = not Folder(folder).exists(MODEL_CARD)
    agent = student_agent(recipe, LocalChat(args.run, engine, renderer), backend, few_shot=few_shot)
    questions = load_questions(recipe.task.name, recipe.task.path, args.split, args.questions)
    slots = asyncio.Semaphore(1 if args.run == "one-by-one" else _AT_ONCE)

    async def answer(question: Any) -> Any:
        async with slots:
            return await agent.run(question)

    await answer(load_questions(recipe.task.name, recipe.task.path, "train", 1)[0])
    started = time.perf_counter()
    rows = await asyncio.gather(*map(answer, questions))
    seconds = time.perf_counter() - started
    await agent.close()
    await backend.close()
    return {"questions": len(questions), "seconds": seconds, **_counts(rows)}


def _counts(rows: Sequence[Any]) -> dict[str, Any]:
    return {
        "correct": sum(row.score.exact_match for row in rows if row.score),
        "steps": sum(len(row.steps) for row in rows),
        "new_tokens": sum(row.usage.completion_tokens for row in rows),
        "answers": [row.answer for row in rows],
    }


def _engine(args: argparse.Namespace, folder: str, end_id: int, max_context: int) -> Any:
    import torch

    from benchmarks.evaluation_contestants import ContinuousBatching, OneByOne, VllmProcess
    from fireact_ray.agent.models.engines.torch_engine import TorchEngine
    from fireact_ray.rendering.tokenizer import HubTokenizer
    from fireact_ray.training.artifacts import load_trained

    if args.run == "vllm":
        return VllmProcess(args.vllm, folder, end_id, max_context, _AT_ONCE, args.threads)
    tokenizer = HubTokenizer.load(folder)
    model = load_trained(folder, merge=True, dtype=torch.float32, device=torch.device("cpu")).model.eval()
    if args.run == "one-by-one":
        return OneByOne(model, tokenizer.decode, end_id, max_context)
    if args.run == "transformers":
        return ContinuousBatching(model, end_id, max_context, _AT_ONCE)
    return TorchEngine(
        model,
        end_id=end_id,
        pad_id=tokenizer.pad_id,
        decode=tokenizer.decode,
        max_context=max_context,
        max_batch=_AT_ONCE,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a trained student's folder, or a base model's; the bundled base if not given")
    parser.add_argument("--recipe", default="demo", help="whose search, limits and sampling the agent has")
    parser.add_argument("--split", default="test")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--one-by-one", type=int, default=100, help="questions of these that are asked one by one")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--vllm", metavar="PYTHON", help="the interpreter of an environment that has vLLM")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--small", action="store_true", help="8 questions, 2 of them one by one")
    parser.add_argument("--run", choices=CONTESTANTS, help=argparse.SUPPRESS)  # in the process that is timed
    return parser.parse_args()


if __name__ == "__main__":
    main()
