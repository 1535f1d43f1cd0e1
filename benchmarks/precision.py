"""fp32, bf16 and what `auto` chooses: seconds of a training step and of a batch of answers, one after the other.

    python -m benchmarks.precision [--steps 3] [--threads 1]

The nano (1.2 M parameters) and a Llama of 8 M, both with rows of random tokens. `auto` should be within 10 % of the
faster of the two, and never slower than fp32 by more than that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.torch_engine import TorchEngine
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.recipe.student import base_model_dir
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loop import train
from fireact_ray.training.precision import for_inference

CPU = torch.device("cpu")
_BATCH, _ROW_TOKENS, _NEW_TOKENS, _N_PROMPTS = 4, 256, 16, 8
_VOCABULARY = 1536
_PRECISIONS = ("fp32", "bf16", "auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3, help="optimizer steps of each run")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"{date.today()}, {os.cpu_count()} CPUs, {torch.backends.cpu.get_cpu_capability()}, {commit}, {vars(args)}\n")
    table = []
    with tempfile.TemporaryDirectory(prefix="fireact-precision-") as scratch:
        for name, folder in {"nano": Path(base_model_dir("nano")), "8 M": _larger(Path(scratch) / "base")}.items():
            dataset = _rows(Path(scratch) / f"rows-{name}", args.steps * _BATCH)
            train_s = {kind: _train_s(folder, dataset, Path(scratch) / "out", kind) for kind in _PRECISIONS}
            answer_s = {kind: _answer_s(folder, kind) for kind in _PRECISIONS}
            for work, seconds in (("training step", train_s), ("8 answers", answer_s)):
                ratio = seconds["auto"] / seconds["fp32"]
                table.append([name, work, *(f"{seconds[kind]:.3f}" for kind in _PRECISIONS), f"{ratio:.2f}"])
    print(markdown_table(["model", "work", "fp32 s", "bf16 s", "auto s", "auto / fp32"], table))


def _larger(folder: Path) -> Path:
    config = LlamaConfig(
        vocab_size=_VOCABULARY, hidden_size=256, intermediate_size=704, num_hidden_layers=8, num_attention_heads=8
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


def _rows(folder: Path, n: int) -> Path:
    draw = random.Random(0)
    ids = [[draw.randrange(2, _VOCABULARY) for _ in range(_ROW_TOKENS)] for _ in range(n)]
    mask = [[0] * (_ROW_TOKENS // 2) + [1] * (_ROW_TOKENS - _ROW_TOKENS // 2)] * n
    folder.mkdir(parents=True)
    columns = [[f"t{i:04d}" for i in range(n)], ids, mask, [_ROW_TOKENS] * n]
    pq.write_table(pa.table(columns, schema=EXAMPLE_SCHEMA), folder / "part-000.parquet")
    (folder / "manifest.json").write_text(json.dumps({"renderer": "plain", "renderer_fingerprint": "none"}))
    return folder


def _train_s(base: Path, dataset: Path, out: Path, precision: str) -> float:
    """Of one step: the least of two runs."""
    config = TrainConfig(
        base_model=str(base), tuning="full", epochs=1, global_batch_size=_BATCH, micro_batch_tokens=1024
    )
    config = config.changed(precision=precision)
    runs = [train(config, dataset, out, device="cpu") for _ in range(2)]
    return min(run.seconds / run.steps for run in runs)


def _answer_s(base: Path, precision: str) -> float:
    """Of a batch of answers: the least of two, after one for warmth."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if precision == "bf16" or (precision == "auto" and for_inference(model, CPU).bf16):
        model = model.to(torch.bfloat16)
    engine = TorchEngine(model, end_id=-1, pad_id=0, decode=lambda _: "", max_context=2048)
    return asyncio.run(_timed(engine))


async def _timed(engine: TorchEngine) -> float:
    draw = random.Random(1)
    seconds = []
    for _ in range(3):
        prompts = [[draw.randrange(2, _VOCABULARY) for _ in range(_ROW_TOKENS)] for _ in range(_N_PROMPTS)]
        started = time.perf_counter()
        await asyncio.gather(*(engine.generate(ids, Sampling(max_new_tokens=_NEW_TOKENS)) for ids in prompts))
        seconds.append(time.perf_counter() - started)
    await engine.close()
    return min(seconds[1:])


if __name__ == "__main__":
    main()
