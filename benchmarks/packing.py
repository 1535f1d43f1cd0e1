"""Useful tokens / computed tokens: ours beside FireAct's own settings, and what packing does to the nano's speed.

    python benchmarks/packing.py FOLDER

FOLDER holds FireAct's released files (*_alpaca.json, https://github.com/anchen1011/FireAct, data/finetune). FireAct
pads to the longest row of a batch, up to a multiple of 8, and cuts at 512 tokens. Tokens are those of the nano's
tokenizer (2048 tokens) in the `fireact-alpaca` form, as Llama-2's is not ours to ship: rows are longer than there, and
more of them are cut.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Trajectory
from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.data.dataset.tokenize_rows import tokenize
from fireact_ray.data.examples import conversation
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import base_model_dir
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.stages.convert import convert
from fireact_ray.training.batching import plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row, Sizes
from fireact_ray.training.loop import train
from fireact_ray.training.packing import pack

_RENDERER = "fireact-alpaca"
_CUTOFF = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of FireAct's released *_alpaca.json")
    args = parser.parse_args()
    files = sorted(args.folder.glob("*_alpaca.json"))
    if not files:
        print(f"{args.folder}: no *_alpaca.json there; nothing is measured.")
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"{date.today()}, {os.cpu_count()} CPUs, commit {commit}, {vars(args)}\n")
    rows = {file: import_trajectories(file).trajectories for file in files}
    print(_padding(rows))
    print(_speed(rows[files[-1]]))


def _padding(files: dict[Path, tuple[Trajectory, ...]]) -> str:
    renderer = make_renderer(_RENDERER, HubTokenizer.load(base_model_dir("nano")))
    table = []
    for file, rows in files.items():
        conversations = [conversation(row) for row in rows]
        lengths = tokenize([row.trajectory_id for row in rows], conversations, renderer)["length"].to_pylist()
        cut, n_cut = [min(length, _CUTOFF) for length in lengths], sum(length > _CUTOFF for length in lengths)
        useful = {
            "FireAct, LoRA: grouped by length, 8": _padded(cut, _grouped(cut, 8)),
            "FireAct, LoRA: grouped by length, 16": _padded(cut, _grouped(cut, 16)),
            "FireAct, full: random order, 4": _padded(cut, _shuffled(cut, 4)),
            "random order, 16": _padded(cut, _shuffled(cut, 16)),
            "always 512": sum(cut) / (len(cut) * _CUTOFF),
        }
        ours = {
            f"ours, packs of {size}": sum(lengths) / (len(pack(lengths, size)) * size)
            for size in (2048, 4096)
            if max(lengths) <= size
        }
        ours |= {f"ours, steps of 32, packs of {size or 1}": _in_steps(lengths, size) for size in (None, 4096)}
        table += [[file.stem, label, f"{share:.3f}", str(n_cut)] for label, share in useful.items()]
        table += [[file.stem, label, f"{share:.3f}", "0"] for label, share in ours.items()]
    return markdown_table(["file", "batches", "useful / computed", "rows cut"], table)


def _padded(lengths: Sequence[int], batches: Iterator[list[int]]) -> float:
    return sum(lengths) / sum(len(batch) * -(-max(batch) // 8) * 8 for batch in batches)


def _grouped(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Groups of 50 batches, at most a quarter of the rows, sorted within: transformers' `group_by_length`."""
    group = min(len(lengths) // (size * 4), 50) * size or size
    shuffled = random.Random(0).sample(list(lengths), len(lengths))
    ordered = [n for i in range(0, len(shuffled), group) for n in sorted(shuffled[i : i + group], reverse=True)]
    return (ordered[i : i + size] for i in range(0, len(ordered), size))


def _shuffled(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    shuffled = random.Random(0).sample(list(lengths), len(lengths))
    return (shuffled[i : i + size] for i in range(0, len(shuffled), size))


def _in_steps(lengths: Sequence[int], pack_tokens: int | None) -> float:
    """As training cuts its steps; without packing a line holds one example and lines of like length stand together."""
    rows = [Row(str(i), np.zeros(n, np.int32), np.ones(n, np.int8)) for i, n in enumerate(lengths)]
    config = TrainConfig(
        base_model="nano", epochs=1, global_batch_size=32, micro_batch_tokens=8192, pack_tokens=pack_tokens
    )
    steps = list(plan_steps(Sizes.of(rows), config))
    return sum(step.tokens for step in steps) / sum(step.computed_tokens for step in steps)


def _speed(rows: Sequence[Trajectory]) -> str:
    """The nano on 256 rows on one thread, each way twice; the faster run counts."""
    torch.set_num_threads(1)
    section = ConvertConfig(decontaminate=None, max_length=4096, n=256)
    with tempfile.TemporaryDirectory(prefix="fireact-packing-") as scratch:
        recipe = Recipe.model_validate(
            {"name": "rows", "output_dir": scratch, "convert": section, "student": {"renderer": _RENDERER}}
        )
        write_trajectories(Folder(recipe.run_dir) / "trajectories", rows, "0")
        dataset, out = convert(recipe).local_path, Path(scratch) / "model"
        table = []
        ways: dict[str, dict[str, Any]] = {
            "one line a pass": {"attention": "varlen"},
            "sorted, padded": {"attention": "sdpa"},
            "packs of 2048": {"attention": "sdpa", "pack_tokens": 2048},
            "packs of 4096": {"attention": "sdpa", "pack_tokens": 4096},
        }
        for label, settings in ways.items():
            config = TrainConfig(base_model=base_model_dir("nano"), tuning="full", epochs=1, **settings)
            best = min((train(config, dataset, out, device="cpu") for _ in range(2)), key=lambda run: run.seconds)
            speed = f"{best.tokens_seen / best.seconds:.0f}"
            table.append([label, f"{best.padding_share:.3f}", speed, f"{best.final_loss:.4f}"])
    return markdown_table(["nano, one CPU thread", "padding share", "tokens/s", "loss"], table)


if __name__ == "__main__":
    main()
