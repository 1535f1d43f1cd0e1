"""Convert, tokenize and pack: rows/s beside the bare tokenizer, plain `datasets.map`, and one process of ours.

    python benchmarks/curation.py FOLDER                                   # 200,000 rows
    python benchmarks/curation.py FOLDER --rows 20000 200000 1000000       # what a row costs at each size

    python benchmarks/curation.py FOLDER --tokenizer LLAMA                 # a folder with another tokenizer

FOLDER holds FireAct's released files (*_alpaca.json, https://github.com/anchen1011/FireAct, data/finetune). Rows are
copies of theirs; a copy has its words rotated and a number in every text, so that no two texts are equal and caching
of equal texts wins nothing. "largest file" is the largest of them as it is. The tokenizer is the nano's unless another
is named, as Llama-2's is not ours to ship.

The baseline is `encode_batch` of that tokenizer on the same texts, on one core, times the number of cores. Two of it at
once show how far that is from what the cores can do together. "rows" counts rows that are kept. `datasets.map` renders
each row as our loop would. Memory is the growth of this process's peak over its size before. `datasets` is in the dev
extra.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import datasets
import ray

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import TRAJECTORY_SCHEMA, from_row
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories
from fireact_ray.core.types import Trajectory
from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.data.examples import conversation
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import dropped_by, lines
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import base_model_dir
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.stages.convert import IN_PROCESS, convert
from fireact_ray.training.packing import pack

_ROWS_PER_PART = 20_000
_CONVERT = ConvertConfig(decontaminate=None, max_length=8192)
_RENDERER = "fireact-alpaca"
_LINES = lines(_CONVERT)
_TOKENIZER = "CURATION_TOKENIZER"  # in the environment, for the interpreters that measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of FireAct's released *_alpaca.json")
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000])
    parser.add_argument("--baseline-rows", type=int, default=20_000, help="rows that the baselines are measured on")
    parser.add_argument("--tokenizer", default="nano", help="a base model's name or folder")
    args = parser.parse_args()
    os.environ[_TOKENIZER] = args.tokenizer
    files = sorted(args.folder.glob("*_alpaca.json"))
    if not files:
        print(f"{args.folder}: no *_alpaca.json there; nothing is measured.")
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"{date.today()}, {os.cpu_count()} CPUs, commit {commit}, {vars(args)}\n")
    released = [import_trajectories(file).trajectories for file in files]
    print(_speed(released, args.rows, args.baseline_rows))


def _speed(released: Sequence[Sequence[Trajectory]], sizes: Sequence[int], baseline_rows: int) -> str:
    cores = os.cpu_count() or 1
    base = [row for rows in released for row in rows]
    with tempfile.TemporaryDirectory(prefix="fireact-curation-") as scratch:
        small = _written(base, baseline_rows, f"{scratch}/small")
        bare, n = _in_new_process("bare", small)
        table = [["encode_batch, one core", n, bare, n / bare, None, None, None]]
        best = cores * n / bare
        both = max(seconds for seconds, _ in _at_once("bare", small, cores))
        table.append([f"encode_batch, {cores} at once", n, both, cores * n / both, cores * n / both / best, None, None])

        def measured(label: str, way: str, recipe: Recipe) -> None:
            seconds, kept, made, growth = _in_new_process(way, recipe)
            table.append([label, kept, seconds, kept / seconds, kept / seconds / best, made / kept * 1e6, growth >> 20])

        for n_processes in (1, 2):
            measured(f"datasets.map, num_proc={n_processes}", f"map{n_processes}", small)
        measured("ours, one process, one core", "one", small)
        largest = _recipe(f"{scratch}/largest")
        write_trajectories(Folder(largest.run_dir) / "trajectories", max(released, key=len), "0")
        measured("ours, largest file", "ours", largest)
        for size in sizes:
            recipe = _written(base, size, f"{scratch}/{size}")
            measured("ours", "ours", recipe)
            measured("ours, once more", "ours", recipe)
            measured("ours, on a Ray that runs", "ray", recipe)
    columns = ["way", "rows", "seconds", "rows/s", f"of {cores} x encode_batch", "us/row", "memory MB"]
    return markdown_table(
        columns, [[value if isinstance(value, str) else _text(value) for value in row] for row in table]
    )


def _written(base: Sequence[Trajectory], size: int, folder: str) -> Recipe:
    recipe = _recipe(folder)
    rows: list[Trajectory] = []
    for i in range(size):
        rows.append(_copy(base[i % len(base)], i))
        if len(rows) == _ROWS_PER_PART or i == size - 1:
            write_trajectories(Folder(recipe.run_dir) / "trajectories", rows, f"{i:09d}")
            rows = []
    return recipe


def _recipe(folder: str) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "rows",
            "output_dir": folder,
            "convert": _CONVERT,
            "student": {"base_model": os.environ[_TOKENIZER], "renderer": _RENDERER},
        }
    )


def _copy(row: Trajectory, number: int) -> Trajectory:
    """Texts of the same words in another order, none of which occurs twice."""
    rng = random.Random(number)

    def other(text: str) -> str:
        words = text.split(" ")
        cut = rng.randrange(len(words))
        return " ".join([*words[cut:], *words[:cut], str(number)])

    steps = tuple(
        replace(
            step,
            thought=other(step.thought),
            observation=step.observation and replace(step.observation, text=other(step.observation.text)),
        )
        for step in row.steps
    )
    question = replace(row.question, text=other(row.question.text))
    return replace(row, trajectory_id=f"{row.trajectory_id}-{number}", question=question, steps=steps)


def _in_new_process(way: str, recipe: Recipe) -> Any:
    """Each way in a fresh interpreter: imports are no part of it, and memory is its own."""
    (result,) = _at_once(way, recipe, 1)
    return result


def _at_once(way: str, recipe: Recipe, n: int) -> list[Any]:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import curation; curation.one_way()"
    command = [sys.executable, "-c", code, way, recipe.output_dir]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n)]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"'{way}' failed: {said}")
    return [json.loads(text.splitlines()[-1]) for text in said]


def one_way() -> None:
    """Entry of the fresh interpreter; the last line it prints is its result."""
    way, folder = sys.argv[1:]
    recipe = _recipe(folder)
    if way == "bare":
        print(json.dumps(_bare(recipe)))
        return
    ways: dict[str, Callable[[Recipe], int]] = {
        "map1": lambda recipe: _datasets_map(recipe, 1),
        "map2": lambda recipe: _datasets_map(recipe, 2),
        "one": lambda recipe: _ours(recipe, sys.maxsize),
        "ours": lambda recipe: _ours(recipe, None),
        "ray": lambda recipe: _ours(recipe, 0),
    }
    if way != "ours":
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _renderer().tokenizer.encode("Imports and caches are warm.")
    if way == "ray":
        _start_ray(recipe)
    before, started = _peak_bytes(), time.perf_counter()
    kept = ways[way](recipe)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, kept, seconds, _peak_bytes() - before]))


def _bare(recipe: Recipe) -> tuple[float, int]:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    by = lines(recipe.convert)
    kept = [row for row in read_trajectories(Folder(recipe.run_dir) / "trajectories") if dropped_by(row, by) is None]
    renderer = _renderer()
    texts = [
        part.content for row in kept for part in renderer.parts(conversation(row)) if isinstance(part.content, str)
    ]
    encoder = HubTokenizer.load(base_model_dir(os.environ[_TOKENIZER]))._tokenizer.backend_tokenizer
    started = time.perf_counter()
    for start in range(0, len(texts), 1000):
        encoder.encode_batch(texts[start : start + 1000], add_special_tokens=False)
    return time.perf_counter() - started, len(kept)


def _ours(recipe: Recipe, in_process: int | None) -> int:
    if in_process == 0:
        (Folder(recipe.run_dir) / "dataset").delete("manifest.json")
    folder = convert(recipe, in_process=IN_PROCESS if in_process is None else in_process)
    lengths = [n for table in folder.read_tables(["length"]) for n in table["length"].to_pylist()]
    pack(lengths, max(4096, max(lengths)))
    return len(lengths)


def _start_ray(recipe: Recipe) -> None:
    """As where a job comes to a cluster that is up: workers have started, and have opened the tokenizer."""
    ray.init(log_to_driver=False, include_dashboard=False)
    first = recipe.model_copy(update={"name": "first"})
    (source, *_) = (Folder(recipe.run_dir) / "trajectories").row_groups()
    for number in range(4 * (os.cpu_count() or 1)):
        (Folder(first.run_dir) / "trajectories").write_part(f"part-{number}", [source.read()[:200]], TRAJECTORY_SCHEMA)
    convert(first, in_process=0)


def _datasets_map(recipe: Recipe, n_processes: int) -> int:
    datasets.disable_progress_bars()
    files = [f"{recipe.run_dir}/trajectories/*.parquet"]
    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
        done = rows.map(_rendered_row, num_proc=n_processes, remove_columns=rows.column_names)
        done = done.filter(lambda length: length > 0, input_columns="length", num_proc=n_processes)
        done.to_parquet(f"{cache}/part-000.parquet")
        return len(done)


def _rendered_row(row: dict[str, Any]) -> dict[str, Any]:
    trajectory = from_row(row)
    kept = dropped_by(trajectory, _LINES) is None
    ids, mask = _renderer().render(conversation(trajectory)) if kept else ([], [])
    return {"trajectory_id": row["trajectory_id"], "input_ids": ids, "loss_mask": mask, "length": len(ids)}


_opened: list[Renderer] = []


def _renderer() -> Renderer:
    if not _opened:
        _opened.append(make_renderer(_RENDERER, HubTokenizer.load(base_model_dir(os.environ[_TOKENIZER]))))
    return _opened[0]


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) and value < 100 else f"{value:.0f}"


if __name__ == "__main__":
    main()
