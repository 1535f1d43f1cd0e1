"""Our training loop beside others' on one CPU: real tokens a second, the same tiny model and rows for all.

    python -m benchmarks.training FOLDER
    python -m benchmarks.training FOLDER --llamafactory PYTHON      # with LLaMA-Factory, of an environment of its own

FOLDER holds FireAct's released hotpotqa_alpaca.json (https://github.com/anchen1011/FireAct, data/finetune). Its rows
are rendered by `fireact-alpaca` with the nano's tokenizer; the model is a random Llama of 4 layers, 256 wide. Each
contestant takes one epoch of the same rows in a process of its own, in fp32 on all cores, one after the other, in
turns; the first step is not counted. A token is real where it is no padding. Settings: training_contestants.py.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.header import print_header
from benchmarks.training_inputs import make_inputs
from fireact_ray.core.utils.markdown import markdown_table

_OURS = ("ours", "ours-padded", "ours-packed")
_PEERS = ("trainer", "trainer-fireact", "trl", "llamafactory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of FireAct's released *_alpaca.json")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--tuning", choices=["lora", "full"], default="lora")
    parser.add_argument("--only", nargs="+", choices=[*_OURS, *_PEERS])
    parser.add_argument("--llamafactory", type=Path, help="the Python of an environment that holds llamafactory")
    args = parser.parse_args()
    names = [name for name in (*_OURS, *_PEERS) if not args.only or name in args.only]
    if not any(name in _OURS for name in names):
        parser.error(f"others are compared with ours: --only must name one of {', '.join(_OURS)}")
    if args.llamafactory is None and "llamafactory" in names:
        print("llamafactory: not measured, as no --llamafactory was named.")
        names.remove("llamafactory")
    print_header()
    with tempfile.TemporaryDirectory() as scratch:
        about = make_inputs(args.folder / "hotpotqa_alpaca.json", Path(scratch), args.rows)
        print(json.dumps(about), flush=True)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(args.turns):
            for name in names:
                python = args.llamafactory if name == "llamafactory" else Path(sys.executable)
                found[name].append(_measured(python, name, Path(scratch), args.tuning))
                print(name, json.dumps(found[name][-1]), flush=True)
    print(_table(found))


def _measured(python: Path, name: str, scratch: Path, tuning: str) -> dict[str, float]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(os.cpu_count()),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    script = Path(__file__).with_name("training_contestants.py")
    command = [str(python), "-W", "ignore", str(script), name, str(scratch), tuning]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    entry: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return entry


def _table(found: dict[str, list[dict[str, float]]]) -> str:
    medians = {name: statistics.median(e["tokens"] / e["seconds"] for e in entries) for name, entries in found.items()}
    ours = max(medians[name] for name in medians if name in _OURS)
    rows = [
        [
            name,
            f"{medians[name]:,.0f}",
            " / ".join(f"{e['tokens'] / e['seconds']:,.0f}" for e in entries),
            f"{ours / medians[name]:.2f}",
            f"{100 * (1 - entries[-1]['tokens'] / entries[-1]['computed']):.1f}",
            f"{entries[-1]['loss']:.3f}",
        ]
        for name, entries in found.items()
    ]
    return markdown_table(["contestant", "real tokens/s", "each turn", "ours is x", "padding %", "mean loss"], rows)


if __name__ == "__main__":
    main()
