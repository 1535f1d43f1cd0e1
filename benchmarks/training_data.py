"""What the rows of a dataset cost a training worker: memory, time to copy and to open, time for the rows of a step.

    python -m benchmarks.training_data                       # 1,000,000 rows: 2.3 GB of disk, some minutes
    python -m benchmarks.training_data --rows 100000

Rows are synthetic and seeded: 100 to 500 ids below 2,048, the later half trained, keys of 16 hex digits, Parquet as
`convert` writes it. Each line is a process of its own: the first that opens the dataset makes the machine's copy, the
next ones find it. Anonymous memory is what a process has for itself (RssAnon; its growth since all was imported, and
the highest as seen every 10 ms). Mapped pages (RssFile) are the machine's: it takes them back when it needs them, and
its workers share them. "old way": all rows read into memory and sorted, as it was before there was a copy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.header import print_header, print_table
from fireact_ray.core.storage.fingerprint import dataset_fingerprint, row_digest
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.training.batching import collate, plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row, Sizes
from fireact_ray.training.mapped.loading import load_dataset

_PER_GROUP, _PER_PART = 5_000, 50_000
_STEPS = 1_000
_MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--old-rows", type=int, default=100_000, help="for the old way, and ours beside it")
    parser.add_argument("--dir", type=Path, help="where dataset and copy go for the time of the run")
    parser.add_argument("--worker", nargs=2, metavar=("WAY", "DATASET"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        way, dataset = args.worker
        print(json.dumps(_measured({"old way": _old_way, "mapped": _mapped}[way], dataset)))
        return
    print_header()
    lines = []
    with tempfile.TemporaryDirectory(dir=args.dir) as scratch:
        os.environ["FIREACT_CACHE"] = f"{scratch}/cache"
        for n_rows in sorted({args.old_rows, args.rows}):
            dataset = _write(Folder(f"{scratch}/{n_rows}"), n_rows)
            ways = [("makes the copy", "mapped"), ("opens the copy", "mapped"), ("opens it again", "mapped")]
            if n_rows == args.old_rows:
                ways.insert(0, ("old way", "old way"))
            lines += [_line(n_rows, label, _in_process(way, dataset)) for label, way in ways]
        disk = sum(file.stat().st_size for file in Path(scratch).rglob("*") if file.is_file())
    print_table(["rows", "worker", "s", "anonymous MB", "highest", "mapped MB", "us per step's rows"], lines)
    print(f"{disk / 1e9:.1f} GB of disk, copies and Parquet of both. A step: 32 rows, planned and collated.")


def _write(folder: Folder, n_rows: int) -> Folder:
    draw = np.random.default_rng(0)
    digests: list[bytes] = []

    def group() -> pa.Table:
        ends = np.cumsum(draw.integers(100, 501, _PER_GROUP))
        starts = np.concatenate([[0], ends[:-1]])
        lengths = ends - starts
        ids = draw.integers(0, 2048, ends[-1], dtype=np.int32)
        at = np.arange(ends[-1]) - np.repeat(starts, lengths)
        mask = (at >= np.repeat(lengths // 2, lengths)).astype(np.int8)
        keys = [draw.bytes(8).hex() for _ in range(_PER_GROUP)]
        for key, start, end in zip(keys, starts, ends, strict=True):
            digests.append(row_digest(key, ids[start:end], mask[start:end]))
        offsets = pa.array([0, *ends], pa.int32())
        lists = [pa.ListArray.from_arrays(offsets, pa.array(values)) for values in (ids, mask)]
        return pa.table([pa.array(keys), *lists, pa.array(lengths, pa.int32())], schema=EXAMPLE_SCHEMA)

    for part in range(n_rows // _PER_PART):
        groups = (group() for _ in range(_PER_PART // _PER_GROUP))
        folder.write_tables(f"part-{part:03d}.parquet", groups, EXAMPLE_SCHEMA)
    about = {"renderer": "plain", "renderer_fingerprint": "f00d", "fingerprint": dataset_fingerprint(digests, "f00d")}
    folder.write_json("manifest.json", about)
    return folder


def _in_process(way: str, dataset: Folder) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.training_data", "--worker", way, dataset.uri]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _line(n_rows: int, label: str, found: dict[str, Any]) -> list[str]:
    memory = [f"{found[name] / _MB:.0f}" for name in ("anonymous", "highest", "mapped")]
    return [f"{n_rows:,}", label, f"{found['seconds']:.2f}", *memory, f"{found['step'] * 1e6:.0f}"]


Opened = tuple[Any, Sizes]  # rows, by number, and their sizes


def _mapped(dataset: str) -> Opened:
    data = load_dataset(dataset)
    return data.rows, data.rows.sizes


def _old_way(dataset: str) -> Opened:
    folder = Folder(dataset)
    rows = []
    for table in folder.read_tables(EXAMPLE_SCHEMA.names):
        for key, ids, mask, _ in zip(*table.columns, strict=True):
            rows.append(Row(key.as_py(), ids.values.to_numpy(), mask.values.to_numpy()))
    rows.sort(key=lambda row: (row.trajectory_id, row.input_ids.tobytes()))
    dataset_fingerprint((row_digest(row.trajectory_id, row.input_ids, row.loss_mask) for row in rows), "f00d")
    return rows, Sizes.of(rows)


def _measured(open_rows: Callable[[str], Opened], dataset: str) -> dict[str, float]:
    """Bytes, and seconds: to open, and of a step's rows. The mapped pages are those after the steps."""
    before = _status()
    with _watched() as seen:
        started = time.perf_counter()
        rows, sizes = open_rows(dataset)
        opened = time.perf_counter()
        for step in islice(plan_steps(sizes, TrainConfig(base_model="none", epochs=1)), _STEPS):
            for packs in step.share.micro_batches:
                collate([[rows[number] for number in pack] for pack in packs])
        ended = time.perf_counter()
        after = _status()
    return {
        "seconds": opened - started,
        "step": (ended - opened) / _STEPS,
        "anonymous": after["RssAnon"] - before["RssAnon"],
        "highest": max(seen) - before["RssAnon"],
        "mapped": after["RssFile"] - before["RssFile"],
    }


@contextmanager
def _watched() -> Iterator[list[int]]:
    seen, over = [_status()["RssAnon"]], threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            seen.append(_status()["RssAnon"])

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        yield seen
    finally:
        over.set()
        looker.join()


def _status() -> dict[str, int]:
    """Bytes of this process, by kind."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[0] in ("RssAnon:", "RssFile:")}


if __name__ == "__main__":
    main()
