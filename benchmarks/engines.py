"""The engine that serves beside others, for the same agents on the same weights and threads.

    python -m benchmarks.engines                                # the bundled base, 32 agents, 64 questions, one thread
    python -m benchmarks.engines --vllm /path/to/venv/bin/python
    python -m benchmarks.engines --small                        # 32 agents, 32 questions, 3 of them one by one

All answer questions of the almanac by the same agent (ReAct, the bundled search, greedy), --agents at once. Timed is
from the first question to the last answer; loading and a warm-up question are not.

    ours            TorchEngine
    one-by-one      `generate()`, one prompt after the other, each read anew: FireAct's way; on --one-by-one questions
    static          `generate()` on as many prompts as wait; the next batch begins once all of it have ended
    transformers    its continuous batching
    vllm            vLLM on the CPU (an environment of its own, --vllm)

Tokens/s count what was written; beside other work seconds say little, and CPU seconds more. `same` counts replies that
equal ours, token for token, of those to prompts that ours got, too. `of these read` are prompt tokens that went through
the model, beside the fewest possible: each beginning that prompts share read once, nothing of what the model itself
wrote, nor what the warm-up had read.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.evaluation_contestants import ContinuousBatching, OneByOne, Static, VllmProcess, cpu_s
from benchmarks.header import print_header, print_table
from benchmarks.prompt_tokens import fewest
from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Engine, Generation
from fireact_ray.agent.models.engines.kv_cache import CachedSlots
from fireact_ray.agent.models.engines.torch_engine import TorchEngine
from fireact_ray.agent.models.local import LocalChat
from fireact_ray.core.types import Question
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import base_model_dir, local_student, open_renderer, student_agent
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.tasks import load_questions
from fireact_ray.training.artifacts import load_trained

OURS, ONE_BY_ONE, STATIC, TRANSFORMERS, VLLM = "ours", "one-by-one", "static", "transformers", "vllm"
CONTESTANTS = (OURS, ONE_BY_ONE, STATIC, TRANSFORMERS, VLLM)


@dataclass
class Traffic:
    """An engine, and what went through it. `read`: prompt tokens that the model computed; None: it does not say."""

    engine: Any
    read: Callable[[], int] | None
    replies: list[tuple[list[int], tuple[int, ...]]] = field(default_factory=list)
    fewest: int = 0  # prompt tokens that had to be computed
    cpu_s: float = 0.0

    @property
    def max_context(self) -> int:
        return int(self.engine.max_context)

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        generation: Generation = await self.engine.generate(prompt_ids, sampling)
        self.replies.append((list(prompt_ids), generation.ids))
        return generation

    async def close(self) -> None:
        await self.engine.close()

    @property
    def given(self) -> int:
        return sum(len(prompt) for prompt, _ in self.replies)

    @property
    def written(self) -> int:
        return sum(len(reply) for _, reply in self.replies)


class CountedSlots(CachedSlots):
    read = 0

    def claim(self, prompt_ids: Sequence[int], busy: Any, adapter: int = 0) -> tuple[int, int]:
        slot, known = super().claim(prompt_ids, busy, adapter)
        CountedSlots.read += len(prompt_ids) - known
        return slot, known


class CountedTorch(TorchEngine):
    def _empty_slots(self) -> CachedSlots:
        return CountedSlots(
            self._model,
            max_slots=self._max_batch,
            max_context=self.max_context,
            pad_id=self._pad_id,
            llama=self._llama,
        )


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    print_header(f"{args.agents} agents, {args.questions} questions, {args.threads} threads, model {args.model}")
    recipe = load_recipe("demo")
    found: dict[str, tuple[Traffic, float]] = {}
    for name in args.only:
        if name == VLLM and not args.vllm:
            print("vllm: left out, it needs an environment of its own (--vllm PYTHON)", flush=True)
            continue
        traffic, seconds = found[name] = asyncio.run(_contest(name, args, recipe))
        print(f"{name}: {traffic.written} tokens in {seconds:.1f} s", flush=True)
    ours = {tuple(prompt): reply for prompt, reply in found[OURS][0].replies} if OURS in found else {}
    rows = [_row(name, *one, found.get(ONE_BY_ONE), ours) for name, one in found.items()]
    columns = ["", "replies", "tokens", "seconds", "CPU s", "tokens/s", "times one-by-one", "by CPU", "same"]
    print_table([*columns, "prompt tokens", "of these read", "fewest possible", "read / fewest"], rows)


def _row(
    name: str,
    traffic: Traffic,
    seconds: float,
    base: tuple[Traffic, float] | None,
    ours: dict[tuple[int, ...], tuple[int, ...]],
) -> list[str]:
    pace = traffic.written / seconds
    asked_both = [(reply, ours[tuple(prompt)]) for prompt, reply in traffic.replies if tuple(prompt) in ours]
    read = None if traffic.read is None else traffic.read()
    return [
        name,
        f"{len(traffic.replies):,}",
        f"{traffic.written:,}",
        f"{seconds:.1f}",
        f"{traffic.cpu_s:.1f}",
        f"{pace:.0f}",
        "-" if base is None else f"{pace / (base[0].written / base[1]):.2f}",
        "-" if base is None else _by_cpu(traffic, base[0]),
        f"{sum(reply == our for reply, our in asked_both)} of {len(asked_both)}",
        f"{traffic.given:,}",
        "-" if read is None else f"{read:,}",
        f"{traffic.fewest:,}",
        "-" if read is None else f"{read / traffic.fewest:.3f}",
    ]


def _by_cpu(traffic: Traffic, base: Traffic) -> str:
    return f"{traffic.written / traffic.cpu_s / (base.written / base.cpu_s):.2f}"


async def _contest(name: str, args: argparse.Namespace, recipe: Recipe) -> tuple[Traffic, float]:
    folder, config = base_model_dir(args.model), local_student(recipe)
    renderer = open_renderer(folder, config)
    traffic = _opened(name, args, folder, renderer.end_id, config.max_context)
    backend = open_backend(recipe.search)
    agent = student_agent(recipe, LocalChat(name, traffic, renderer), backend, few_shot=args.few_shot)
    n = min(args.questions, args.one_by_one) if name == ONE_BY_ONE else args.questions
    questions = load_questions(recipe.task.name, recipe.task.path, "test", n)
    await agent.run(load_questions(recipe.task.name, recipe.task.path, "train", 1)[0])
    warm_up = 0 if traffic.read is None else traffic.read()
    n_warm = len(traffic.replies)
    slots = asyncio.Semaphore(1 if name == ONE_BY_ONE else args.agents)

    async def answer(question: Question) -> None:
        async with slots:
            await agent.run(question)

    started, cpu = time.perf_counter(), cpu_s(traffic.engine)
    await asyncio.gather(*map(answer, questions))
    seconds, used = time.perf_counter() - started, cpu_s(traffic.engine) - cpu
    total = None if traffic.read is None else traffic.read() - warm_up
    await agent.close()
    await backend.close()
    needed = fewest(traffic.replies) - fewest(traffic.replies[:n_warm])  # instructions were read in the warm-up
    return Traffic(None, None if total is None else lambda: total, traffic.replies[n_warm:], needed, used), seconds


def _opened(name: str, args: argparse.Namespace, folder: str, end_id: int, max_context: int) -> Traffic:
    tokenizer = HubTokenizer.load(folder)
    if name == VLLM:
        vllm = VllmProcess(args.vllm, folder, tokenizer.decode, end_id, max_context, args.agents, args.threads)
        return Traffic(vllm, lambda: vllm.read)
    model = load_trained(folder, merge=True, dtype=torch.float32, device=torch.device("cpu")).model.eval()
    engine: Engine
    if name == TRANSFORMERS:
        return Traffic(ContinuousBatching(model, tokenizer.decode, end_id, max_context, args.agents), None)
    if name == OURS:
        engine = CountedTorch(
            model,
            end_id=end_id,
            pad_id=tokenizer.pad_id,
            decode=tokenizer.decode,
            max_context=max_context,
            max_batch=2 * args.agents,
        )
        return Traffic(engine, lambda: CountedSlots.read)
    if name == ONE_BY_ONE:
        engine = OneByOne(model, tokenizer.decode, end_id, max_context)
    else:
        engine = Static(model, tokenizer, end_id, max_context, args.agents)
    traffic = Traffic(engine, None)
    traffic.read = lambda: traffic.given
    return traffic


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano", help="a trained student's folder, or a base model's")
    parser.add_argument("--zero-shot", dest="few_shot", action="store_false", help="no examples in the prompt")
    parser.add_argument("--agents", type=int, default=32)
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--one-by-one", type=int, default=8, help="questions of these that are asked one by one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--vllm", metavar="PYTHON", help="the interpreter of an environment that has vLLM")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--small", action="store_true", help="32 questions, 3 of them one by one")
    args = parser.parse_args()
    if args.small:
        args.questions, args.one_by_one = 32, 3
    return args


if __name__ == "__main__":
    main()
