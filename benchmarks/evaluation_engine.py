"""Questions of the almanac through a local student: our engine beside other ways to run the same weights.

    python -m benchmarks.evaluation_engine --model runs/nano/model            # 500 questions, two threads
    python -m benchmarks.evaluation_engine --model runs/nano/model --vllm /path/to/venv/bin/python
    python -m benchmarks.evaluation_engine --small                            # the bundled base, 64 questions

All answer by the same agent (ReAct, the bundled search, greedy, the recipe's limits) on as many threads, each in
processes of its own. Timed is from the first question to the last answer; loading and a warm-up question are not.

    ours            TorchEngine, 64 rollouts at once
    ours-workers    the same in as many processes of one thread each, each with its share: `evaluate.workers`
    one-by-one      FireAct's way: question by question, `generate()` on one prompt, encoded anew in each step
    transformers    its continuous batching, 64 rollouts at once
    vllm            vLLM on the CPU, 64 rollouts at once (an environment of its own, --vllm)

One by one, time grows with the questions alone, so that it is timed on `--one-by-one` of them and compared by questions
a second. `same` counts answers that equal ours. A contestant that fails, or has no result after `--limit` seconds,
stands in the table with why, and stops no other. Beside other work seconds say little; CPU seconds are those of all its
processes, agents and search included. With more than one thread a contestant crawls where others want the cores, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from tempfile import TemporaryFile
from typing import Any

from benchmarks.header import print_header, print_table

OURS, WORKERS, ONE_BY_ONE, VLLM = "ours", "ours-workers", "one-by-one", "vllm"
CONTESTANTS = (OURS, WORKERS, ONE_BY_ONE, "transformers", VLLM)
_AT_ONCE = 64
_COLUMNS = (
    *("", "questions", "EM %", "steps", "new tokens", "seconds", "questions/s", "CPU s"),
    *("same", "ours is faster by", "ours by CPU"),
)


def main() -> None:
    args = _arguments()
    if args.run:
        asyncio.run(_answer_when_told(args))
        return
    if args.small:
        args.questions, args.one_by_one = 64, 4
    print_header(f"{args.questions} questions, {args.threads} threads, model {args.model or 'nano (the bundled base)'}")
    found: dict[str, dict[str, Any] | str] = {}
    for name in args.only:
        if name == VLLM and not args.vllm:
            found[name] = "left out, it needs an environment of its own (--vllm PYTHON)"
        else:
            found[name] = _contest(name, args)
        print(f"{name}: {_in_short(found[name])}", flush=True)
    ours = found.get(OURS)
    print_table(_COLUMNS, [_row(name, one, ours if isinstance(ours, dict) else None) for name, one in found.items()])


def _in_short(one: dict[str, Any] | str) -> str:
    return one if isinstance(one, str) else f"{one['questions']} questions in {one['seconds']:.1f} s"


def _row(name: str, one: dict[str, Any] | str, ours: dict[str, Any] | None) -> list[str]:
    if isinstance(one, str):
        return [f"{name}: {one}", *["-"] * (len(_COLUMNS) - 1)]
    pace = one["questions"] / one["seconds"]
    same, ratio, by_cpu = "-", "-", "-"
    if ours is not None and one is not ours:
        n_same = sum(ours["answers"].get(key) == answer for key, answer in one["answers"].items())
        same = f"{n_same} of {one['questions']}"
        ratio = f"{ours['questions'] / ours['seconds'] / pace:.2f} x"
        by_cpu = f"{ours['questions'] / ours['cpu_s'] * one['cpu_s'] / one['questions']:.2f} x"
    return [
        name,
        str(one["questions"]),
        f"{100 * one['correct'] / one['questions']:.1f}",
        f"{one['steps']:,}",
        f"{one['new_tokens']:,}",
        f"{one['seconds']:.1f}",
        f"{pace:.2f}",
        f"{one['cpu_s']:.1f}",
        same,
        ratio,
        by_cpu,
    ]


def _contest(name: str, args: argparse.Namespace) -> dict[str, Any] | str:
    """In its processes, which begin together once all are ready; it ends when the last one does. Or why it did not."""
    n = min(args.questions, args.one_by_one) if name == ONE_BY_ONE else args.questions
    n_processes = args.threads if name == WORKERS else 1
    threads = str(args.threads // n_processes)
    command = [sys.executable, "-m", "benchmarks.evaluation_engine", "--run", name, "--questions", str(n)]
    command += ["--threads", threads, "--recipe", args.recipe, "--split", args.split]
    command += ["--model", args.model] if args.model else []
    command += ["--vllm", args.vllm] if args.vllm else []
    environment, pipe = {**os.environ, "OMP_NUM_THREADS": threads}, subprocess.PIPE
    shares = [["--share", str(each), str(n_processes)] for each in range(n_processes)]
    with TemporaryFile("w+") as said:
        running = [
            subprocess.Popen([*command, *share], stdin=pipe, stdout=pipe, stderr=said, text=True, env=environment)
            for share in shares
        ]
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            for process in running:
                process.kill()

        late = threading.Timer(args.limit, stop)
        late.start()
        try:
            results = _results(running)
        except EOFError:
            said.seek(0)
            last = said.read().strip().splitlines()[-1:]
            return f"no result after {args.limit} s" if is_late.is_set() else f"it failed: {' '.join(last)}"
        finally:
            late.cancel()
            for process in running:
                process.kill()
    summed = ("questions", "correct", "steps", "new_tokens", "cpu_s")
    whole = {key: sum(one[key] for one in results) for key in summed}
    answers = {question: answer for one in results for question, answer in one["answers"].items()}
    return {**whole, "seconds": max(one["seconds"] for one in results), "answers": answers}


def _results(running: Sequence[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """Raises EOFError where a process ended without one."""
    for process in running:
        _said(process, "READY")
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(_said(process, "RESULT ")) for process in running]


def _said(process: subprocess.Popen[str], begins: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:  # libraries may say something, too
        if line.startswith(begins):
            return line.removeprefix(begins)
    raise EOFError


async def _answer_when_told(args: argparse.Namespace) -> None:
    """One contestant, or its share."""
    import torch

    from benchmarks.evaluation_contestants import cpu_s
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
    share, n_shares = args.share
    questions = load_questions(recipe.task.name, recipe.task.path, args.split, args.questions)[share::n_shares]
    slots = asyncio.Semaphore(1 if args.run == ONE_BY_ONE else _AT_ONCE)

    async def answer(question: Any) -> Any:
        async with slots:
            return await agent.run(question)

    await answer(load_questions(recipe.task.name, recipe.task.path, "train", 1)[0])
    print("READY", flush=True)
    sys.stdin.readline()
    started, cpu = time.perf_counter(), cpu_s(engine)
    rows = await asyncio.gather(*map(answer, questions))
    seconds = time.perf_counter() - started
    used = cpu_s(engine) - cpu
    await agent.close()
    await backend.close()
    counted = {"questions": len(questions), "seconds": seconds, "cpu_s": used, **_counts(rows)}
    print("RESULT " + json.dumps(counted), flush=True)


def _counts(rows: Sequence[Any]) -> dict[str, Any]:
    return {
        "correct": sum(row.score.exact_match for row in rows if row.score),
        "steps": sum(len(row.steps) for row in rows),
        "new_tokens": sum(row.usage.completion_tokens for row in rows),
        "answers": {row.question.id: row.answer for row in rows},
    }


def _engine(args: argparse.Namespace, folder: str, end_id: int, max_context: int) -> Any:
    import torch

    from benchmarks.evaluation_contestants import ContinuousBatching, OneByOne, VllmProcess
    from fireact_ray.agent.models.engines.torch_engine import TorchEngine
    from fireact_ray.rendering.tokenizer import HubTokenizer
    from fireact_ray.training.artifacts import load_trained

    tokenizer = HubTokenizer.load(folder)
    if args.run == VLLM:
        return VllmProcess(args.vllm, folder, tokenizer.decode, end_id, max_context, _AT_ONCE, args.threads)
    model = load_trained(folder, merge=True, dtype=torch.float32, device=torch.device("cpu")).model.eval()
    if args.run == ONE_BY_ONE:
        return OneByOne(model, tokenizer.decode, end_id, max_context)
    if args.run == "transformers":
        return ContinuousBatching(model, tokenizer.decode, end_id, max_context, _AT_ONCE)
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
    parser.add_argument("--small", action="store_true", help="64 questions, 4 of them one by one")
    parser.add_argument("--limit", type=float, default=300.0, metavar="SECONDS", help="for each, loading included")
    parser.add_argument("--run", choices=CONTESTANTS, help=argparse.SUPPRESS)  # in a process that is timed
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), help=argparse.SUPPRESS)  # which of how many
    return parser.parse_args()


if __name__ == "__main__":
    main()
