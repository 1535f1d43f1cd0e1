"""Training and decoding at the paper's sizes on one GPU, with random weights: no Ray, no download, nothing on disk.

    python -m benchmarks.training_gpu --out results.json            # all there is memory for; about 5 minutes
    python -m benchmarks.training_gpu --out goals.json --goals      # what has a goal, and fused kernels; 4 minutes
    python -m benchmarks.training_gpu --out quick.json --quick      # two layers of each model: does everything run?
    python -m benchmarks.training_gpu --out tiny.json --tiny --device cpu

First the losses of a tiny model are held against the CPU's, and greedy replies of our engine against transformers';
then our training step is timed at the shapes of Llama-2-7B and CodeLlama-34B, and decoding. What fails or does not fit
says so, and the next setting runs. Tokens are the rows' own, without padding. MFU: FLOPs over seconds and 989 TFLOP/s;
which FLOPs, see gpu_shapes.Flops: 4 a frozen weight and token, 6 a trained one; the column `6N` counts 6 of all.
"""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from benchmarks.gpu_bench import Bench
from benchmarks.gpu_decoding import compare_greedy, decode_speed
from benchmarks.gpu_sanity import compare_losses
from benchmarks.gpu_settings import GOALS, GROUPS, Group, quick, tiny
from benchmarks.gpu_shapes import LLAMA_2_7B, TINY, Shape
from benchmarks.gpu_steps import Steps, product_flops
from benchmarks.header import print_header, print_table

_COLUMNS = ("model", "setting", "passes", "tokens/step", "step s", "tokens/s", "MFU %", "6N %", "padding %")
_COLUMNS += ("planned GiB", "peak GiB", "reserved GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file for all that was measured, as JSON")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="two layers of each model, few steps")
    parser.add_argument("--tiny", action="store_true", help="models of no size")
    parser.add_argument("--goals", action="store_true", help="fewer settings, in the order of the goals; no decoding")
    parser.add_argument("--limit-s", type=float, default=330, help="nothing is begun after so many seconds")
    parser.add_argument("--only", default="", help="the training settings alone whose model, tuning or name holds this")
    args = parser.parse_args()
    print_header()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("transformers").setLevel(logging.ERROR)  # of a base that was never on the hub
    versions = {"transformers": transformers.__version__, "peft": peft.__version__}
    about = {"asked": {name: str(value) for name, value in vars(args).items()}, **versions}
    bench = Bench(torch.device(args.device), args.out, args.limit_s, about)
    print(bench.about, flush=True)
    small = args.quick or args.tiny
    shape = TINY if args.tiny else LLAMA_2_7B.of_layers(2) if args.quick else LLAMA_2_7B
    groups = GOALS if args.goals else GROUPS
    *most, last = tiny(groups) if args.tiny else quick(groups) if args.quick else groups
    table: list[list[Any]] = []
    timed = 2 if small or args.goals else 3
    if not args.only:
        _right(bench, None if args.goals else shape)
    for group in most:
        table += _train(bench, group, args.only, timed)
    if not (args.only or args.goals):
        _decode(bench, shape, new_tokens=8 if small else 64)
    table += _train(bench, last, args.only, timed)
    print_table(_COLUMNS, table)


def _right(bench: Bench, decoded: Shape | None) -> None:
    bench.run("sanity", "losses against the CPU's", partial(compare_losses, bench.device))
    if bench.device.type == "cuda":
        bench.run("device", "FLOP/s of a bf16 product of 8192 x 8192", partial(product_flops, bench))
    for dtype in (torch.float32, torch.bfloat16) if decoded else ():
        bench.run("greedy", str(dtype), partial(compare_greedy, decoded, bench.device, dtype, 24))


def _decode(bench: Bench, shape: Shape, new_tokens: int) -> None:
    dtype = torch.bfloat16 if bench.precision.bf16 else torch.float32
    for batch in (1, 8, 64):
        measure = partial(decode_speed, shape, bench.device, dtype, batch, new_tokens)
        bench.run("decoding", f"{shape.name}, {batch} at once", measure)


def _train(bench: Bench, group: Group, only: str, timed: int) -> list[list[Any]]:
    """Lines of the table."""
    label = f"{group.shape.name} {group.tuning}"
    asked = [setting for setting in group.settings if only in f"{label}, {setting.name}"]
    if not asked:
        return []
    steps = bench.made(label, "model", partial(Steps, bench, group), min(setting.needs_gib for setting in asked))
    if steps is None:
        return []
    lines = []
    for setting in asked:
        found = bench.run(label, setting.name, partial(steps.measure, setting, timed), setting.needs_gib)
        if found is not None:
            lines.append([label, setting.name, *_cells(found, bench.entries[-1])])
        if found is not None and setting.profiled and bench.device.type == "cuda":
            bench.run(label, f"{setting.name}: profile", partial(steps.profiled, setting), setting.needs_gib)
    return lines


def _cells(found: dict[str, Any], entry: dict[str, Any]) -> list[str]:
    held = (found["planned_gib"], entry["peak_gib"], entry["reserved_gib"])
    return [
        *(str(found["passes_per_step"]), str(found["tokens_per_step"])),
        *(f"{found['step_s']:.3f}", f"{found['tokens_per_s']:.0f}"),
        *(f"{found['mfu_percent']:.1f}", f"{found['six_n_percent']:.1f}", f"{found['padding_percent']:.1f}"),
        *("-" if gib is None else f"{gib:.1f}" for gib in held),
    ]


if __name__ == "__main__":
    main()
